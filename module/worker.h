/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * The worker: a forked child in which, and only in which, Go runs. The login
 * process never starts the Go runtime: it would bring threads and signal
 * handlers, break in the children that the host forks, and hold megabytes for
 * as long as the session lasts.
 */

#ifndef PAM_COCKPIT_CERT_WORKER_H
#define PAM_COCKPIT_CERT_WORKER_H

#include "options.h"

#include <sys/types.h>

struct worker {
    pid_t pid;
    int pidfd;   /* -1 where the kernel has none (before Linux 5.3) */
    int answers; /* the pipe's reading end: non-blocking, close-on-exec */
};

/* Starts the worker. Returns 0, or -1 with errno set and nothing left behind. */
int worker_start(struct worker *w, const struct options *options);

/*
 * Kills the worker if it still runs, waits for it, and closes everything.
 * Returns its wait status, or -1 where the host reaped it first.
 */
int worker_end(struct worker *w);

#endif
