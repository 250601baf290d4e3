/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The first steps of every child of the login process. */

#ifndef PAM_COCKPIT_CERT_CHILD_H
#define PAM_COCKPIT_CERT_CHILD_H

#include <sys/types.h>

/* Resets every signal, so that the host's handlers do not run in the child and a terminal's Ctrl-C ends it. */
void child_reset_signals(void);

/* Closes all descriptors but the standard ones. */
void child_close_descriptors(void);

/*
 * Forks a child that shares the parent's table of descriptors. When the parent
 * ends, the kernel then closes no file; closing one can hang for ever, such as
 * on a dead network file system. libc's fork handlers do not run, so that its
 * locks stay as they are: only a process with one thread may call this.
 */
pid_t child_fork_sharing_descriptors(void);

#endif
