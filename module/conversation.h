/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * What cockpit-cert-session (Cockpit 248 and later) needs of the PAM
 * conversation. It logs in with an empty user name and an empty password, for
 * cockpit-session knows no other way to run PAM, and it ends the login where
 * anything else is asked: with a certificate, nobody can answer.
 */

#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <security/pam_modules.h>
#include <stdbool.h>

/* Whether this is such a login. Any other host has no user name at all, or one. */
bool conversation_is_relayed(pam_handle_t *pamh);

/* Takes the empty password away, so that no module tries it in the user's name. */
void conversation_take_password(pam_handle_t *pamh);

/*
 * Ends the login, after an error message that says why: no module behind the
 * rule is asked in vain. Returns only where the host goes on all the same.
 */
void conversation_end(pam_handle_t *pamh);

#endif
