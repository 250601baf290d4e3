/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* What pam_sm_setcred has to know of a login that pam_sm_authenticate accepted. */

#ifndef PAM_COCKPIT_CERT_LOGIN_H
#define PAM_COCKPIT_CERT_LOGIN_H

#include "options.h"
#include "ticket.h"

#include <security/pam_modules.h>
#include <sys/types.h>

struct login {
    uid_t uid;
    struct ticket ticket;
};

/* Keeps with the handle that its login is ours, until it ends. Returns PAM's code. */
int login_remember(pam_handle_t *pamh, uid_t uid);

/* Forgets it: another login begins. */
void login_forget(pam_handle_t *pamh);

/* Returns the login that is ours, or NULL. */
struct login *login_of(pam_handle_t *pamh);

/* Has tickets made for the session, unless the options say not to. */
void login_tickets(pam_handle_t *pamh, struct login *login, const struct options *options);

#endif
