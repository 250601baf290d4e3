/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "ticket.h"

#include "child.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <security/pam_ext.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#ifndef TICKET_PROGRAM /* module.mk sets it to where make install puts the program */
#define TICKET_PROGRAM "/usr/libexec/pam_cockpit_cert/cockpit-cert-ticket"
#endif

/* The longest time that a user waits for a KDC that does not answer. */
#define LIMIT_MS 3000

/* The program's own limit, by a timer: earlier, so that the gate sees its end in time. */
#define PROGRAM_LIMIT_MS 2900

/* Larger than any report of the program. */
#define REPORT_MAX 8192

static void __attribute__((noreturn)) program_main(int reports, char *const argv[])
{
    static char *const no_environment[] = {NULL};
    const struct itimerval limit = {.it_value = {PROGRAM_LIMIT_MS / 1000, PROGRAM_LIMIT_MS % 1000 * 1000}};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    child_reset_signals();
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(reports, STDOUT_FILENO) < 0 || dup2(reports, STDERR_FILENO) < 0 ||
        chdir("/") != 0 || setitimer(ITIMER_REAL, &limit, NULL) != 0)
        _exit(EXIT_FAILURE);
    child_close_descriptors();
    execve(TICKET_PROGRAM, argv, no_environment);
    /* Without the program, for instance where only the module was copied, there are no tickets. */
    dprintf(STDOUT_FILENO, "%d no Kerberos ticket: cannot execute " TICKET_PROGRAM ": %s\n",
            errno == ENOENT ? LOG_DEBUG : LOG_WARNING, strerror(errno));
    _exit(EXIT_FAILURE);
}

/*
 * Starts the program as a grandchild, so that the login never waits for its end:
 * the kernel may be unable to end it. The child between them always ends,
 * because it shares its descriptors with the grandchild and so closes no file.
 * Returns the reading end of the pipe for the program's reports, or -1.
 */
static int program_start(char *const argv[])
{
    int error, pipe_ends[2];
    pid_t pid;
    sigset_t all, before;

    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    error = errno;
    if (pid == 0) {
        pid = child_fork_sharing_descriptors();
        if (pid == 0)
            program_main(pipe_ends[1], argv);
        _exit(EXIT_SUCCESS);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(pipe_ends[1]);
    if (pid < 0) {
        close(pipe_ends[0]);
        errno = error;
        return -1;
    }
    /* ECHILD: the host ignores SIGCHLD, or its handler has reaped the child. */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return pipe_ends[0];
}

/* Reads the program's reports until it ends. Returns false if that takes too long. */
static bool read_reports(int fd, char *text, size_t size, int64_t deadline)
{
    size_t got = 0;

    for (;;) {
        int64_t left = deadline - clock_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t n;

        text[got] = '\0';
        if (left <= 0 || got == size - 1)
            return false;
        n = poll(&poll_fd, 1, (int)left);
        if (n > 0)
            n = read(fd, text + got, size - 1 - got);
        else if (n == 0)
            return false;
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return true;
        if (n > 0)
            got += (size_t)n;
    }
}

/* Logs the lines. Returns whether one of them says that the file was written. */
static bool log_reports(pam_handle_t *pamh, bool debug, char *text)
{
    bool written = false;
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strcmp(line, "written") == 0)
            written = true;
        else if (line[0] < '3' || line[0] > '7' || line[1] != ' ')
            pam_syslog(pamh, LOG_CRIT, "cockpit-cert-ticket broke, please report this: %.200s", line);
        else if (line[0] != '7' || debug)
            pam_syslog(pamh, line[0] - '0', "%s", line + 2);
    }
    return written;
}

struct outcome {
    bool written, in_time;
};

static struct outcome run(pam_handle_t *pamh, bool debug, char *const argv[])
{
    char text[REPORT_MAX];
    int64_t deadline = clock_ms() + LIMIT_MS;
    int reports = program_start(argv);
    struct outcome outcome = {.in_time = true};

    if (reports < 0) {
        pam_syslog(pamh, LOG_ERR, "no Kerberos ticket: cannot start " TICKET_PROGRAM ": %m");
        return outcome;
    }
    outcome.in_time = read_reports(reports, text, sizeof text, deadline) &&
                      clock_ms() < deadline - (LIMIT_MS - PROGRAM_LIMIT_MS);
    close(reports);
    outcome.written = log_reports(pamh, debug, text);
    return outcome;
}

/* The name that Cockpit gives to its own credential caches, on which scripts may rely. */
static void name_file(char *name, size_t size, pid_t login)
{
    snprintf(name, size, "cockpit-session-%ld.ccache", (long)login);
}

void ticket_make(pam_handle_t *pamh, const struct options *options, const char *user, uid_t uid, struct ticket *ticket)
{
    char name[64], number[24], variable[128];
    char *argv[6 + 2 * OPTIONS_TICKET_FOR_MAX], **next = argv;
    struct outcome outcome;

    name_file(name, sizeof name, getpid());
    snprintf(number, sizeof number, "%lu", (unsigned long)uid);
    *next++ = (char *)TICKET_PROGRAM;
    for (unsigned i = 0; i < options->ticket_for_count; i++) {
        *next++ = (char *)"-t";
        *next++ = (char *)options->ticket_for[i];
    }
    *next++ = (char *)"--"; /* a directory may have a user whose name begins with a hyphen */
    *next++ = (char *)user;
    *next++ = number;
    *next++ = name;
    *next = NULL;

    /* Also if the program fails: it may have written the file. */
    ticket->login = getpid();
    ticket->uid = uid;
    outcome = run(pamh, options->debug, argv);
    if (!outcome.in_time && !outcome.written)
        pam_syslog(pamh, LOG_WARNING,
                   "no Kerberos ticket within %d seconds: can this host reach a domain controller? see sssctl domain-status",
                   LIMIT_MS / 1000);
    else if (!outcome.in_time && options->ticket_for_count > 0)
        pam_syslog(pamh, LOG_WARNING,
                   "no Kerberos ticket for every service of ticket_for within %d seconds: can this host find their "
                   "addresses and reach their domain controller?",
                   LIMIT_MS / 1000);
    if (!outcome.written)
        return;
    snprintf(variable, sizeof variable, "KRB5CCNAME=FILE:/run/user/%lu/%s", (unsigned long)uid, name);
    if (pam_putenv(pamh, variable) != PAM_SUCCESS)
        pam_syslog(pamh, LOG_ERR, "cannot set KRB5CCNAME for the session");
    else if (options->debug)
        pam_syslog(pamh, LOG_DEBUG, "Kerberos tickets for %s: %s", user, variable);
}

void ticket_remove(pam_handle_t *pamh, struct ticket *ticket)
{
    char name[64], number[24];
    char *argv[] = {(char *)TICKET_PROGRAM, (char *)"-r", number, name, NULL};

    /* A child that the host forked has a copy of this, but not the tickets. */
    if (ticket->login != getpid())
        return;
    ticket->login = 0;
    name_file(name, sizeof name, getpid());
    snprintf(number, sizeof number, "%lu", (unsigned long)ticket->uid);
    if (!run(pamh, false, argv).in_time)
        pam_syslog(pamh, LOG_WARNING, "Kerberos tickets: cannot remove %s within %d seconds; see findmnt -T /run/user/%s",
                   name, LIMIT_MS / 1000, number);
}
