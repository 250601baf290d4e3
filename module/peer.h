/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The process at the other end of standard input, on kernels that cannot pin a socket's peer. */

#ifndef PAM_COCKPIT_CERT_PEER_H
#define PAM_COCKPIT_CERT_PEER_H

/*
 * Returns an open descriptor of /proc/PID of the process that the kernel names
 * as standard input's peer, once it is proven that this process holds the other
 * end. The descriptor keeps referring to that process, not to the PID.
 *
 * Returns 0 where no proof is needed: standard input is not a connected Unix
 * socket, or the kernel has SO_PEERPIDFD (Linux 6.5), which clientcert uses
 * instead. Returns -ESRCH if the process does not hold the other end, and
 * another -errno if the kernel does not tell.
 *
 * It reads another user's /proc/PID/fd, so that it has to be called before the
 * worker drops its capabilities; see proc_pid_fd(5).
 */
int peer_holder(void);

#endif
