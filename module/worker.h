/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * The worker: the only process in which Go runs. The login process never starts
 * the Go runtime, because the runtime would bring threads and signal handlers,
 * break in the children that the host forks, and hold megabytes for as long as
 * the session lasts.
 *
 * The worker is a grandchild of the login process. The child between them is the
 * keeper, which only waits, and which the kernel can always end. So the login
 * process never waits for a worker whose end hangs in the kernel.
 */

#ifndef PAM_COCKPIT_CERT_WORKER_H
#define PAM_COCKPIT_CERT_WORKER_H

#include "options.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct worker {
    pid_t login;       /* the process that started it; 0 if there is none */
    pid_t keeper;
    int keeper_fd;     /* a pidfd; -1 where the kernel has none (before Linux 5.3) */
    int answers;       /* the pipe's reading end: non-blocking, close-on-exec */
    const pid_t *pid;  /* the worker's PID, which the keeper fills in */
    int64_t deadline;  /* of the login, by clock.h */
    bool left;         /* after worker_end: the kernel has not ended the worker */
};

/* Starts the worker. Returns 0, or -1 with errno set and nothing left behind. */
int worker_start(struct worker *w, const struct options *options);

/* Kills both processes; worker_end still has to be called. */
void worker_kill(const struct worker *w);

/*
 * Ends both processes if they still run, waits for them until a second after the
 * deadline at most, and closes everything. Returns the worker's wait status, or
 * -1 if it is not known: the host reaped the keeper first, or this call killed it.
 */
int worker_end(struct worker *w);

#endif
