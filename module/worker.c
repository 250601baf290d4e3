/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "worker.h"

#include "_cgo_export.h"
#include "answer.h"
#include "child.h"
#include "clock.h"
#include "resources.h"
#include "peer.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* The table that runtime.ld put aside: functions that the loader would have called with these arguments. */
typedef void (*init_function)(int argc, char **argv, char **envp);
extern const init_function go_runtime_init_start[] __attribute__((visibility("hidden"), weak));
extern const init_function go_runtime_init_end[] __attribute__((visibility("hidden"), weak));

/*
 * The Go runtime reads argv, the environment and the auxiliary vector as one
 * block. This one is constant, so that GODEBUG, GOTRACEBACK or GOGC in the
 * host's environment have no effect. An empty auxiliary vector makes the runtime
 * read /proc/self/auxv. The worker lives for milliseconds and mostly waits: it
 * starts sooner with one processor, and collects no garbage below 64 MiB.
 */
static char *runtime_vector[] = {
    "pam_cockpit_cert",     NULL,               /* argv */
    "GOMAXPROCS=1",         "GOGC=off",         /* envp */
    "GOMEMLIMIT=64MiB",     "GOTRACEBACK=single",
    NULL,                                       /* end of envp */
    NULL,                   NULL,               /* auxv: AT_NULL */
};

/*
 * How long worker_end waits for the keeper, then for the worker, and when it
 * kills the worker again. It waits for the keeper until the login's deadline:
 * only a busy machine or a debugger can delay the keeper's end, and an unreaped
 * keeper would stay in the login process as a zombie.
 */
#define END_MS 400
#define KILL_AGAIN_MS 100

/* Answers that the worker failed, and where; then ends the process. */
static void __attribute__((noreturn)) give_up(int answers, const char *what)
{
    struct answer a = {.kind = ANSWER_VERDICT, .priority = LOG_ERR, .result = PAM_SERVICE_ERR};

    memcpy(a.magic, ANSWER_MAGIC, sizeof a.magic);
    snprintf(a.text, sizeof a.text, "cannot start the worker: %s: %s", what, strerror(errno));
    (void)!write(answers, &a, sizeof a);
    _exit(EXIT_FAILURE);
}

/* Has the kernel kill this process when its parent ends. A change of user or capabilities resets that. */
static bool die_with(pid_t parent) { return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent; }

/*
 * Runs the worker. Standard input stays the host's, because clientcert looks at
 * its peer. Standard output is the pipe, and standard error too, so that the
 * gate sees the output of a runtime that crashes.
 */
static void __attribute__((noreturn)) worker_main(int answers, pid_t keeper, const struct options *options)
{
    int holder;

    /* The gate's deadline ends the worker; the kernel does it too, in case the gate is stopped. */
    if (!die_with(keeper))
        _exit(EXIT_FAILURE);
    alarm(options->timeout + 2);

    if (dup2(answers, STDOUT_FILENO) < 0 || dup2(answers, STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    /* Closes the keeper's too, which shares the table. Then gets its own, unless the host's filter rejects that. */
    child_close_descriptors();
    (void)unshare(CLONE_FILES);
    if (fcntl(STDIN_FILENO, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) /* or Go opens it, for writing too */
        give_up(STDOUT_FILENO, "/dev/null");
    holder = peer_holder();
    limits_lift();
    if (chdir("/") != 0 || sandbox_enter() != 0)
        give_up(STDOUT_FILENO, "giving privileges away");
    if (!die_with(keeper))
        _exit(EXIT_FAILURE);
    if (sandbox_seal() != 0)
        give_up(STDOUT_FILENO, "filtering system calls");

    /* Weak symbols: a plain go build links, too, but its runtime has already started in the login process. */
    if ((uintptr_t)go_runtime_init_start == (uintptr_t)go_runtime_init_end) {
        dprintf(STDERR_FILENO, "built without runtime.ld");
        _exit(EXIT_FAILURE);
    }
#ifdef M_ARENA_MAX
    (void)mallopt(M_ARENA_MAX, 1); /* glibc would set up another heap for each of Go's threads, while the user waits */
#endif
    for (const init_function *init = go_runtime_init_start; init < go_runtime_init_end; init++)
        (*init)(1, runtime_vector, runtime_vector + 2);
    cockpitCertWorker(holder, (int)options->timeout, options->debug, options->allow_unvalidated);
    _exit(EXIT_SUCCESS);
}

/*
 * Runs the keeper: it starts the worker and ends with the worker's status. When
 * the login process ends, the kernel kills the keeper and then the worker, which
 * init reaps.
 */
static void __attribute__((noreturn)) keeper_main(int answers, pid_t host, pid_t *number, const struct options *options)
{
    pid_t keeper = getpid(), worker;
    int status;

    if (!die_with(host) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        _exit(EXIT_FAILURE);
    child_reset_signals();
    worker = child_fork_sharing_descriptors();
    if (worker == 0) {
        munmap(number, sizeof *number);
        worker_main(answers, keeper, options);
    }
    if (worker < 0)
        give_up(answers, "fork");
    *number = worker;
    while (waitpid(worker, &status, 0) < 0)
        if (errno != EINTR)
            _exit(EXIT_FAILURE);
    if (WIFSIGNALED(status))
        (void)kill(keeper, WTERMSIG(status)); /* without a core dump: the keeper is not dumpable */
    _exit(WEXITSTATUS(status));
}

static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, pid, 0);
#else
    (void)pid;
    errno = ENOSYS;
    return -1;
#endif
}

/* Starts the keeper. Called with all signals blocked. */
static int start(struct worker *w, const struct options *options)
{
    int error, pipe_ends[2] = {-1, -1};
    int64_t deadline = clock_ms() + (int64_t)options->timeout * 1000;
    pid_t host = getpid(), keeper;
    pid_t *number = mmap(NULL, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (number == MAP_FAILED)
        return -1;
    /* Only the reading end: a non-blocking writing end would make Go's writes fail on a full pipe. */
    if (pipe2(pipe_ends, O_CLOEXEC) != 0 || fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) != 0)
        goto failed;
    keeper = fork();
    if (keeper == 0)
        keeper_main(pipe_ends[1], host, number, options);
    if (keeper < 0)
        goto failed;
    close(pipe_ends[1]);
    *w = (struct worker){.login = host,
                         .keeper = keeper,
                         .keeper_fd = open_pidfd(keeper),
                         .answers = pipe_ends[0],
                         .pid = number,
                         .deadline = deadline};
    return 0;

failed:
    error = errno;
    munmap(number, sizeof *number);
    for (int i = 0; i < 2; i++)
        if (pipe_ends[i] >= 0)
            close(pipe_ends[i]);
    errno = error;
    return -1;
}

int worker_start(struct worker *w, const struct options *options)
{
    int error, result;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = start(w, options);
    error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return result;
}

/* Kills by the pidfd, or by the PID if the kernel has no pidfd or the host's filter rejects the call. */
static void kill_process(int pidfd, pid_t pid)
{
#ifdef SYS_pidfd_send_signal
    if (pidfd >= 0 && (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0 || errno == ESRCH))
        return;
#endif
    (void)kill(pid, SIGKILL);
}

void worker_kill(const struct worker *w) { kill_process(w->keeper_fd, w->keeper); }

/*
 * Waits until the process ends, and returns true; waits only for a moment if the
 * kernel cannot tell.
 */
static bool wait_a_moment(int pidfd, int64_t left)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    const struct timespec moment = {.tv_nsec = 200000};
    int n = pidfd < 0 ? -1 : poll(&end, 1, left > INT_MAX ? INT_MAX : (int)left);

    if (n < 0)
        nanosleep(&moment, NULL);
    return n > 0;
}

/* Returns whether the keeper has ended; status is -1 if the host has reaped it. */
static bool keeper_ended(const struct worker *w, int *status)
{
    int64_t soon = clock_ms() + END_MS, deadline = w->deadline > soon ? w->deadline : soon;
    int pidfd = w->keeper_fd;

    for (;;) {
        pid_t reaped = waitpid(w->keeper, status, WNOHANG);
        int64_t left = deadline - clock_ms();

        if (reaped == w->keeper)
            return true;
        *status = -1;
        if (reaped < 0 && errno != EINTR) /* ECHILD: the host ignores SIGCHLD, or its handler has reaped the keeper */
            return true;
        if (left <= 0)
            return false;
        if (wait_a_moment(pidfd, left))
            pidfd = -1; /* it is ours to reap now, unless a debugger is to have it first */
    }
}

static bool process_ended(int pidfd, pid_t pid, int within)
{
    int64_t deadline = clock_ms() + within, left;
    struct pollfd end = {.fd = pidfd, .events = POLLIN};

    while (pidfd >= 0 ? poll(&end, 1, 0) != 1 : kill(pid, 0) == 0) {
        left = deadline - clock_ms();
        if (left <= 0)
            return false;
        (void)wait_a_moment(pidfd, left);
    }
    return true;
}

/* Whether the worker has ended. The kernel kills it with the keeper, unless an attacker in it has turned that off. */
static bool worker_ended(pid_t pid)
{
    int pidfd;
    bool ended;

    if (pid <= 0) /* the keeper was killed before it started a worker */
        return true;
    pidfd = open_pidfd(pid);
    if (pidfd < 0 && errno == ESRCH)
        return true;
    ended = process_ended(pidfd, pid, KILL_AGAIN_MS);
    if (!ended) {
        kill_process(pidfd, pid);
        ended = process_ended(pidfd, pid, END_MS - KILL_AGAIN_MS);
    }
    if (pidfd >= 0)
        close(pidfd);
    (void)waitpid(pid, NULL, WNOHANG); /* a host that is a subreaper, prctl(2), reaps it, and not init */
    return ended;
}

int worker_end(struct worker *w)
{
    int status = -1;
    bool mine = w->login == getpid();

    /* In a child that the host forked, this is only a copy, like its descriptors. */
    if (mine) {
        worker_kill(w);
        w->left = !keeper_ended(w, &status) || !worker_ended(*w->pid);
    }
    if (w->login != 0) {
        w->login = 0;
        close(w->answers);
        if (w->keeper_fd >= 0)
            close(w->keeper_fd);
        munmap((void *)w->pid, sizeof *w->pid);
    }
    return status;
}
