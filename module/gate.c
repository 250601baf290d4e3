/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * The gate: the functions that libpam calls, in the login process. It decides
 * whether the login is one by certificate, and if so asks the worker. It checks
 * every answer as if the worker were hostile. pam_cockpit_cert(8) is the
 * contract.
 */

#define _GNU_SOURCE
#include "answer.h"
#include "clock.h"
#include "conversation.h"
#include "exported.h"
#include "resources.h"
#include "login.h"
#include "options.h"
#include "relocations.h"
#include "worker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

/* A worker that writes more log lines than any login needs is broken. */
#define LOG_LINES_MAX 200

/*
 * This thread's worker. It is not kept in the PAM handle: a host that leaves
 * the call by siglongjmp(3) cannot use its handle again, and so never cleans
 * up its data. The thread's next call ends the worker that this one left.
 */
static _Thread_local struct worker worker __attribute__((tls_model("initial-exec"))); /* any other calls the loader */

enum read_result { READ_RECORD, READ_END, READ_GARBAGE, READ_TIMEOUT, READ_FAILED };

/*
 * Reads one record. A Go runtime that dies prints the reason to the same pipe:
 * the bytes that are not a record are kept for the log.
 */
static enum read_result read_record(int fd, int64_t deadline, struct answer *a, size_t *got)
{
    *got = 0;
    while (*got < sizeof *a) {
        int64_t left = deadline - clock_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (left <= 0)
            return READ_TIMEOUT;
        n = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0)
            n = read(fd, (char *)a + *got, sizeof *a - *got);
        else if (n == 0)
            return READ_TIMEOUT;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return READ_FAILED;
        if (n == 0)
            return *got == 0 ? READ_END : READ_GARBAGE;
        if (n > 0)
            *got += (size_t)n;
    }
    return answer_valid(a) ? READ_RECORD : READ_GARBAGE;
}

/* Copies the first line of bytes that are not a record; '?' replaces what is not printable. */
static void first_line(const struct answer *a, size_t size, char *line, size_t room)
{
    size_t n;

    for (n = 0; n < size && n < room - 1; n++) {
        unsigned char c = ((const unsigned char *)a)[n];
        if (c == '\n')
            break;
        line[n] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
    }
    line[n] = '\0';
}

/*
 * Logs that a login is accepted, or why it is refused: with its certificate, once that
 * is known, and with the browser's address, if the host has set it.
 */
__attribute__((format(printf, 4, 5))) static void log_result(pam_handle_t *pamh, int priority,
                                                             const char *certificate, const char *format, ...)
{
    char reason[1024];
    const void *address = NULL;
    bool known;
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    known = pam_get_item(pamh, PAM_RHOST, &address) == PAM_SUCCESS && address != NULL && *(const char *)address != '\0';
    pam_syslog(pamh, priority, "%s%s%s%s%.100s", certificate, *certificate == '\0' ? "" : ": ", reason,
               known ? "; rhost=" : "", known ? (const char *)address : "");
}

/* Logs why a worker gave no verdict: output is what it printed, status is how it ended, or -1. */
static void log_broken(pam_handle_t *pamh, const char *certificate, const char *output, int status)
{
    char limit[200], own[64], childrens[64];
    ssize_t n = readlink("/proc/self/ns/pid", own, sizeof own);

    if (n > 0 && readlink("/proc/self/ns/pid_for_children", childrens, sizeof childrens) > 0 &&
        strncmp(own, childrens, (size_t)n) != 0)
        log_result(pamh, LOG_ERR, certificate, "the worker cannot run: the login process puts its children into another PID namespace");
    else if (limits_explain(output, limit, sizeof limit))
        log_result(pamh, LOG_ERR, certificate, "the worker cannot run: %s", limit);
    else if (*output != '\0')
        log_result(pamh, LOG_CRIT, certificate, "the worker broke, please report this: %s", output);
    else if (status == -1)
        log_result(pamh, LOG_CRIT, certificate, "the worker ended without an answer");
    else if (WIFSIGNALED(status))
        log_result(pamh, LOG_CRIT, certificate, "the worker ended without an answer, by signal %d", WTERMSIG(status));
    else
        log_result(pamh, LOG_CRIT, certificate, "the worker ended without an answer, with exit status %d", WEXITSTATUS(status));
}

static int end_worker(pam_handle_t *pamh)
{
    int status;

    if (worker.login == 0)
        return -1;
    status = worker_end(&worker);
    if (worker.left)
        pam_syslog(pamh, LOG_ALERT,
                   "the worker is left behind: it waits for a file or is being traced, and will be gone when that answers; "
                   "or this machine is overloaded");
    return status;
}

/*
 * Fills in the worker's verdict and the name of the certificate, which is empty
 * if it is not known, and returns 0; or else logs what went wrong, and returns
 * the PAM code that says so.
 */
static int ask_worker(pam_handle_t *pamh, const struct options *options, struct answer *verdict,
                      char certificate[sizeof verdict->text])
{
    bool asking;
    int result = PAM_SERVICE_ERR, status;
    enum read_result read;
    size_t got;
    char line[200];

    certificate[0] = '\0';
    (void)end_worker(pamh); /* left by a call that ended by siglongjmp */
    if (worker_start(&worker, options) != 0) {
        pam_syslog(pamh, LOG_ERR, "cannot start the worker: %m%s",
                   errno == EAGAIN ? "; raise LimitNPROC= or TasksMax= of the login process's unit" : "");
        return PAM_SERVICE_ERR;
    }
    for (int lines = 0;; lines++) {
        read = read_record(worker.answers, worker.deadline, verdict, &got);
        if (read == READ_RECORD && verdict->kind == ANSWER_VERDICT) {
            result = 0;
            break;
        }
        if (read != READ_RECORD || lines == LOG_LINES_MAX)
            break;
        if (verdict->kind == ANSWER_ASKING)
            memcpy(certificate, verdict->text, sizeof verdict->text);
        else
            pam_syslog(pamh, (int)verdict->priority, "%s", verdict->text);
    }
    if (result == 0) {
        worker_kill(&worker); /* it ends while the caller goes on */
        return 0;
    }
    status = end_worker(pamh);

    asking = certificate[0] != '\0'; /* SSSD is asked once the certificate is known */
    switch (read) {
    case READ_TIMEOUT:
        log_result(pamh, LOG_ERR, certificate, "no answer within %u seconds while %s", options->timeout,
                   asking ? "asking SSSD; is it overloaded or stopped? See systemctl status sssd"
                          : "looking for the certificate; is this machine overloaded?");
        return asking ? PAM_AUTHINFO_UNAVAIL : PAM_SERVICE_ERR;
    case READ_GARBAGE:
        first_line(verdict, got, line, sizeof line);
        log_broken(pamh, certificate, line, status);
        break;
    case READ_END:
        log_broken(pamh, certificate, "", status);
        break;
    default:
        log_result(pamh, LOG_CRIT, certificate, "the worker broke, please report this: its answer could not be read");
    }
    return PAM_SERVICE_ERR;
}

/*
 * Accepts SSSD's user only if this system's account of that name has the same
 * uid. Otherwise whoever can create a directory entry called root, or one with
 * the name of a local account, could log in as that account.
 */
static int accept_user(pam_handle_t *pamh, const struct answer *verdict, const char *certificate)
{
    const struct passwd *account = pam_modutil_getpwnam(pamh, verdict->user);
    int result;

    if (account == NULL) {
        log_result(pamh, LOG_ERR, certificate,
                   "SSSD names the user '%s', whom this system does not know: "
                   "is sss in the passwd line of /etc/nsswitch.conf, and can getent passwd find the name?",
                   verdict->user);
        return PAM_USER_UNKNOWN;
    }
    if (account->pw_uid != verdict->uid) {
        log_result(pamh, LOG_ALERT, certificate,
                   "REFUSED: SSSD's user '%s' has uid %lu, but this system's account of that name has uid %lu: "
                   "rename one of the two",
                   verdict->user, (unsigned long)verdict->uid, (unsigned long)account->pw_uid);
        return PAM_SERVICE_ERR;
    }
    result = pam_set_item(pamh, PAM_USER, verdict->user);
    if (result == PAM_SUCCESS)
        result = login_remember(pamh, verdict->uid);
    if (result != PAM_SUCCESS)
        log_result(pamh, LOG_ERR, certificate, "cannot set the user name: %s", pam_strerror(pamh, result));
    return result;
}

/* Logs the verdict, whose text names the certificate. */
static void log_verdict(pam_handle_t *pamh, const struct answer *verdict)
{
    if (verdict->result == PAM_IGNORE)
        pam_syslog(pamh, (int)verdict->priority, "%s", verdict->text);
    else
        log_result(pamh, (int)verdict->priority, "", "%s", verdict->text);
}

/*
 * Answers for a rule with the option accepted: success if an earlier rule of this
 * module accepted the login, and the user is still the same. So a rule after others
 * can end the stack for such a login, and for no other.
 */
static int accepted(pam_handle_t *pamh, const struct login *login)
{
    const struct passwd *account;
    const void *user = NULL;

    if (login == NULL)
        return PAM_IGNORE;
    if (pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == NULL)
        return PAM_SERVICE_ERR;
    account = pam_modutil_getpwnam(pamh, user);
    if (account != NULL && account->pw_uid == login->uid)
        return PAM_SUCCESS;
    pam_syslog(pamh, LOG_ALERT, "REFUSED: another module made the user '%s' of the one whose certificate was accepted",
               (const char *)user);
    return PAM_SERVICE_ERR;
}

static int authenticate(pam_handle_t *pamh, const struct options *options)
{
    const void *user = NULL;
    int result;
    struct answer verdict;
    char certificate[sizeof verdict.text];
    struct stat exported;

    login_forget(pamh);
    result = pam_get_item(pamh, PAM_USER, &user);
    if (result != PAM_SUCCESS)
        return result;
    if (user != NULL && *(const char *)user != '\0') {
        if (options->debug)
            pam_syslog(pamh, LOG_DEBUG, "the user name is already set: no certificate is used");
        return PAM_IGNORE;
    }
    /* The worker explains every other error. */
    if (stat(EXPORTED, &exported) != 0 && errno == ENOENT) {
        if (options->debug)
            pam_syslog(pamh, LOG_DEBUG, "no " EXPORTED ": Cockpit has not exported any certificate");
        return PAM_IGNORE;
    }

    result = ask_worker(pamh, options, &verdict, certificate);
    if (result != 0)
        return result;
    result = (int)verdict.result; /* answer_valid() has checked that it is one of the five */
    if (result == PAM_SUCCESS)
        result = accept_user(pamh, &verdict, certificate);
    /* The worker's message about a success is true only if accept_user agreed. */
    if (verdict.text[0] != '\0' && result == (int)verdict.result)
        log_verdict(pamh, &verdict);
    return result;
}

/*
 * The message to the user, in plain ASCII without quotes: Cockpit's login page
 * shows a short text only, and cockpit-session before 362 does not escape it.
 * Cockpit 248 and later does not accept a password from a browser that has a
 * certificate.
 */
static const char *message(int result)
{
    switch (result) {
    case PAM_USER_UNKNOWN:
        return "The certificate does not belong to a user of this system. "
               "To log in with a password, use a browser profile without the certificate.";
    case PAM_AUTHINFO_UNAVAIL:
        return "This system cannot find out now whose certificate this is. Try again later. "
               "To log in with a password, use a browser profile without the certificate.";
    case PAM_SERVICE_ERR:
        return "This system failed to look up the certificate; its log has the reason. "
               "To log in with a password, use a browser profile without the certificate.";
    default:
        return NULL;
    }
}

/*
 * Answers for a rule with the option accepted or refused. The latter is reached by a
 * login only if a module after the one that accepted it refused it. Only with a
 * question does cockpit-session pass on what that module told the user.
 */
static int later_rule(pam_handle_t *pamh, int flags, const struct options *options)
{
    const struct login *login = login_of(pamh);
    int result = accepted(pamh, login);

    if (options->refused && result == PAM_SUCCESS && login->relayed) {
        if ((flags & PAM_SILENT) == 0)
            pam_error(pamh, "This system refuses the login.");
        conversation_end(pamh);
    }
    return result;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct options options = options_parse(pamh, argc, argv);
    bool relayed = conversation_is_relayed(pamh); /* before the user is set */
    const char *text;
    int cancel, result;

    if (options.accepted)
        return later_rule(pamh, flags, &options);
    /* A thread that the host cancels in this function would leave the worker behind. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    result = authenticate(pamh, &options);
    (void)end_worker(pamh);
    relocations_forget();
    pthread_setcancelstate(cancel, NULL);

    text = message(result);
    if (text != NULL && (flags & PAM_SILENT) == 0)
        pam_error(pamh, "%s", text);
    if (relayed && result == PAM_SUCCESS) {
        login_of(pamh)->relayed = true;
        conversation_take_password(pamh);
    } else if (relayed && (result == PAM_AUTHINFO_UNAVAIL || result == PAM_SERVICE_ERR))
        conversation_end(pamh);
    return result;
}

/*
 * A login that this module did not accept is ignored: the rule says
 * success=done, so that with PAM_SUCCESS libpam would not run the modules after
 * it. For a login that it accepted, the tickets are made at
 * PAM_REINITIALIZE_CRED, when the session is open: only then has pam_systemd
 * made the directory for them.
 */
int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct login *login = login_of(pamh);

    if (login == NULL)
        return PAM_IGNORE;
    if ((flags & PAM_REINITIALIZE_CRED) != 0) {
        struct options options = options_parse(NULL, argc, argv); /* pam_sm_authenticate has logged what is wrong */

        if (!options.accepted)
            login_tickets(pamh, login, &options);
    } else if ((flags & PAM_DELETE_CRED) != 0) {
        ticket_remove(pamh, &login->ticket);
    }
    return PAM_SUCCESS;
}
