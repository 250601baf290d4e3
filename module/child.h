/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* What every child of the login process does first. */

#ifndef PAM_COCKPIT_CERT_CHILD_H
#define PAM_COCKPIT_CERT_CHILD_H

#include <sys/types.h>

/* The host's handlers must not run in a child, and a terminal's Ctrl-C must end it. */
void child_reset_signals(void);

/* Closes all descriptors but the standard ones. */
void child_close_descriptors(void);

/*
 * Forks with one table of descriptors for both: when the parent ends, the kernel
 * closes nothing, which is what may take for ever. As from fork(2) without libc,
 * no lock may be held, so only a process of one thread may call it.
 */
pid_t child_fork_sharing_descriptors(void);

#endif
