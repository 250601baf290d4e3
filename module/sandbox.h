/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* Takes from the worker's process what reading a certificate and asking SSSD do not need. */

#ifndef PAM_COCKPIT_CERT_SANDBOX_H
#define PAM_COCKPIT_CERT_SANDBOX_H

/*
 * To be called while the process has one thread: these are attributes of
 * threads, and the Go runtime's inherit them. What an older kernel lacks is
 * left out. Returns 0, or -1 with errno where a kernel that has it refuses.
 */
int sandbox_enter(void);

#endif
