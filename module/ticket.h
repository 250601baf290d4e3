/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The user's Kerberos tickets, which the program cockpit-cert-ticket gets. */

#ifndef PAM_COCKPIT_CERT_TICKET_H
#define PAM_COCKPIT_CERT_TICKET_H

#include "options.h"

#include <security/pam_modules.h>
#include <stdbool.h>
#include <sys/types.h>

struct ticket {
    pid_t login; /* the process whose tickets they are, 0 if there are none */
    uid_t uid;
};

/*
 * Has tickets written to a file that belongs to the user, and sets KRB5CCNAME in
 * PAM's environment. Takes a few seconds at most. Errors are only logged: the
 * login goes on without tickets.
 */
void ticket_make(pam_handle_t *pamh, const struct options *options, const char *user, uid_t uid, struct ticket *ticket);

/* Removes the file, in the process that made it. */
void ticket_remove(pam_handle_t *pamh, struct ticket *ticket);

#endif
