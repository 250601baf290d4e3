/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* Drops every right of the worker's process that reading a certificate and asking SSSD do not need. */

#ifndef PAM_COCKPIT_CERT_SANDBOX_H
#define PAM_COCKPIT_CERT_SANDBOX_H

/*
 * All of these are to be called while the process has one thread: they change
 * attributes of the thread, which the Go runtime's threads inherit. A feature
 * that the kernel lacks is left out. They return 0, or -1 with errno if the
 * kernel has the feature and refuses it.
 */

/* Drops root's access to files, the capabilities, and the file system. */
int sandbox_enter(void);

/* Allows reading below some directories, and neither writing nor executing. The first part of sandbox_enter. */
int sandbox_files(void);

/* Allows only the system calls that Go and the worker make. The last step. */
int sandbox_seal(void);

#endif
