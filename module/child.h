/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* What every child of the login process does first. */

#ifndef PAM_COCKPIT_CERT_CHILD_H
#define PAM_COCKPIT_CERT_CHILD_H

/* The host's handlers must not run in a child, and a terminal's Ctrl-C must end it. */
void child_reset_signals(void);

/* Closes all descriptors but the standard ones. */
void child_close_descriptors(void);

#endif
