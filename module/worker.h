/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * The worker: a process in which, and only in which, Go runs. The login process
 * never starts the Go runtime: it would bring threads and signal handlers, break
 * in the children that the host forks, and hold megabytes for as long as the
 * session lasts.
 *
 * The worker is a grandchild. Between it and the login process is the keeper, a
 * child that only waits, and that the kernel can always end: so the login
 * process never has to wait for a worker whose end hangs in the kernel.
 */

#ifndef PAM_COCKPIT_CERT_WORKER_H
#define PAM_COCKPIT_CERT_WORKER_H

#include "options.h"

#include <stdbool.h>
#include <sys/types.h>

struct worker {
    pid_t login;       /* the process that started it; 0 if there is none */
    pid_t keeper;
    int keeper_fd;     /* a pidfd; -1 where the kernel has none (before Linux 5.3) */
    int answers;       /* the pipe's reading end: non-blocking, close-on-exec */
    const pid_t *pid;  /* the worker's number, which the keeper fills in */
    bool left;         /* after worker_end: the kernel could not end the worker */
};

/* Starts the worker. Returns 0, or -1 with errno set and nothing left behind. */
int worker_start(struct worker *w, const struct options *options);

/* Has the kernel end both processes; worker_end still has to be called. */
void worker_kill(const struct worker *w);

/*
 * Ends what still runs, waits for it, but less than a second, and closes
 * everything. Returns the worker's wait status, or -1 if that is not known:
 * the host reaped the keeper first, or it was ended here.
 */
int worker_end(struct worker *w);

#endif
