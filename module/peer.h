/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* Who is at the other end of standard input, on kernels that cannot pin a socket's peer. */

#ifndef PAM_COCKPIT_CERT_PEER_H
#define PAM_COCKPIT_CERT_PEER_H

/*
 * Returns a directory of proc(5), open: that of the process which the kernel
 * names as standard input's peer, proven to hold the other end of it now. The
 * directory stays with that process.
 *
 * Returns 0 where nothing needs to be proven: standard input is no connected
 * Unix socket, or the kernel has SO_PEERPIDFD (Linux 6.5), which clientcert
 * uses instead. Returns -ESRCH if the process does not hold the other end, and
 * another -errno if the kernel does not say.
 *
 * It reads another user's /proc/PID/fd, so that it has to be called before the
 * worker gives its capabilities away; see proc_pid_fd(5).
 */
int peer_holder(void);

#endif
