/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "worker.h"

#include "_cgo_export.h"
#include "child.h"
#include "peer.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What runtime.ld parked: pointers that crt code would call with these arguments. */
typedef void (*init_function)(int argc, char **argv, char **envp);
extern const init_function go_runtime_init_start[] __attribute__((visibility("hidden"), weak));
extern const init_function go_runtime_init_end[] __attribute__((visibility("hidden"), weak));

/*
 * The runtime reads argv, the environment and the auxiliary vector as one
 * block. Ours is constant, so that GODEBUG, GOTRACEBACK or GOGC in the host's
 * environment do nothing. An empty auxiliary vector makes it read
 * /proc/self/auxv. The worker lives for milliseconds and mostly waits: one
 * processor makes it start sooner, and no garbage is collected unless it should
 * ever need much memory.
 */
static char *runtime_vector[] = {
    "pam_cockpit_cert",     NULL,               /* argv */
    "GOMAXPROCS=1",         "GOGC=off",         /* envp */
    "GOMEMLIMIT=64MiB",     "GOTRACEBACK=single",
    NULL,                                       /* end of envp */
    NULL,                   NULL,               /* auxv: AT_NULL */
};

/*
 * The child. Standard input stays the host's, for clientcert looks at its
 * peer; standard output is the pipe; so is standard error, so that the gate
 * sees what a crashing runtime prints.
 */
static void __attribute__((noreturn)) worker_main(int answers, pid_t host, const struct options *options)
{
    int holder;

    /* Twofold: the gate's deadline, and the kernel's should the gate be stopped. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != host)
        _exit(EXIT_FAILURE);
    child_reset_signals();
    alarm(options->timeout + 2);

    if (dup2(answers, STDOUT_FILENO) < 0 || dup2(answers, STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    child_close_descriptors();
    holder = peer_holder();
    if (chdir("/") != 0 || sandbox_enter() != 0) {
        dprintf(STDERR_FILENO, "sandbox: %s", strerror(errno));
        _exit(EXIT_FAILURE);
    }

    /* Weak, so that a plain go build links; but then the runtime started with the login process. */
    if ((uintptr_t)go_runtime_init_start == (uintptr_t)go_runtime_init_end) {
        dprintf(STDERR_FILENO, "built without runtime.ld");
        _exit(EXIT_FAILURE);
    }
    for (const init_function *init = go_runtime_init_start; init < go_runtime_init_end; init++)
        (*init)(1, runtime_vector, runtime_vector + 2);
    cockpitCertWorker(holder, (int)options->timeout, options->debug, options->allow_unvalidated);
    _exit(EXIT_SUCCESS);
}

int worker_start(struct worker *w, const struct options *options)
{
    int error, pipe_ends[2];
    pid_t host = getpid();
    sigset_t all, before;

    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return -1;
    /* Only ours: a non-blocking writing end would make Go's writes fail on a full pipe. */
    if (fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) != 0)
        goto failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w->pid = fork();
    error = errno;
    if (w->pid == 0)
        worker_main(pipe_ends[1], host, options);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    if (w->pid < 0)
        goto failed;

    close(pipe_ends[1]);
    w->answers = pipe_ends[0];
    w->pidfd = -1;
#ifdef SYS_pidfd_open
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
#endif
    return 0;

failed:
    error = errno;
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    errno = error;
    return -1;
}

int worker_end(struct worker *w)
{
    int status = -1;
    pid_t reaped;

    close(w->answers);
#ifdef SYS_pidfd_send_signal
    if (w->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
    else
#endif
        kill(w->pid, SIGKILL);
    /* ECHILD: the host ignores SIGCHLD, or a handler of its was faster. */
    do
        reaped = waitpid(w->pid, &status, 0);
    while (reaped < 0 && errno == EINTR);
    if (w->pidfd >= 0)
        close(w->pidfd);
    return reaped == w->pid ? status : -1;
}
