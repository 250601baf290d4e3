/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* Takes from the worker's process what reading a certificate and asking SSSD do not need. */

#ifndef PAM_COCKPIT_CERT_SANDBOX_H
#define PAM_COCKPIT_CERT_SANDBOX_H

/*
 * All of these are to be called while the process has one thread: they change
 * attributes of threads, and the Go runtime's inherit them. What an older kernel
 * lacks is left out. They return 0, or -1 with errno where a kernel that has it
 * refuses.
 */

/* Gives away root's rights, capabilities and the file system. */
int sandbox_enter(void);

/* Files: nothing is changed or executed, and only some places are read. The first part of sandbox_enter. */
int sandbox_files(void);

/* Leaves the system calls that Go and the worker make. The last step. */
int sandbox_seal(void);

#endif
