/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* A login that pam_sm_authenticate accepted, remembered for pam_sm_setcred. */

#ifndef PAM_COCKPIT_CERT_LOGIN_H
#define PAM_COCKPIT_CERT_LOGIN_H

#include "options.h"
#include "ticket.h"

#include <security/pam_modules.h>
#include <stdbool.h>
#include <sys/types.h>

struct login {
    uid_t uid;
    bool relayed; /* by cockpit-cert-session, see conversation.h */
    struct ticket ticket;
};

/* Remembers in the PAM handle that this module accepted the login. Returns PAM's code. */
int login_remember(pam_handle_t *pamh, uid_t uid);

/* Forgets it, because another login begins. */
void login_forget(pam_handle_t *pamh);

/* Returns the login that this module accepted, or NULL. */
struct login *login_of(pam_handle_t *pamh);

/* Makes the session's Kerberos tickets, unless the options say not to. */
void login_tickets(pam_handle_t *pamh, struct login *login, const struct options *options);

#endif
