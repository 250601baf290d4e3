/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * The part of the PAM conversation that cockpit-cert-session (Cockpit 248 and
 * later) needs. cockpit-session runs PAM only with a user name and a password,
 * so that cockpit-cert-session gives it empty ones. It ends the login at any
 * other prompt: with a certificate, the user cannot answer it.
 */

#ifndef CONVERSATION_H
#define CONVERSATION_H

#include <security/pam_modules.h>
#include <stdbool.h>

/* Whether this is such a login: the user name is set, and empty. Other hosts set a name, or none. */
bool conversation_is_relayed(pam_handle_t *pamh);

/* Uses the empty password up, so that no later module tries it as the user's password. */
void conversation_take_password(pam_handle_t *pamh);

/*
 * Ends the login, after an error message that says why, so that the modules
 * after the rule are not run in vain. Returns only if the host goes on.
 */
void conversation_end(pam_handle_t *pamh);

#endif
