/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * A PAM host such as cockpit-session. It is in C because a test process in Go has
 * a Go runtime and its signal handlers. It authenticates according to its options
 * and prints key=value lines: PAM's answer, how long it took, and what the calls
 * changed in this process, which should be nothing.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <security/pam_appl.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: pamhost [OPTION]...\n"
    "  -d DIR      service files (default /etc/pam.d)\n"
    "  -s SERVICE  (default cockpit)\n"
    "  -u USER     set the user name beforehand\n"
    "  -r ADDRESS  set the remote host's address\n"
    "  -p PASSWORD answers a prompt without echo\n"
    "  -g          do not authenticate, as for a user whom Kerberos has authenticated\n"
    "  -n COUNT    authenticate so often, each with a handle of its own\n"
    "  -w COUNT    before measuring, so often more\n"
    "  -j COUNT    from so many threads at the same time\n"
    "  -b COUNT    beside so many busy threads\n"
    "  -C HOW      SIGCHLD: default, ignore, or reap (a handler that waits for every child)\n"
    "  -x HOW      a call is left after 300 ms by jump (siglongjmp, then there is another) or\n"
    "              cancel (of its thread); or namespace: its children are in another PID namespace\n"
    "  -i          interrupted by a signal every millisecond\n"
    "  -o CALLS    after authenticate: letters of s(etcred) a(cct_mgmt) o(pen_session) c(lose_session);\n"
    "              setcred's r(einitialize) d(elete); e(nvironment) g(roups) f(ork, and end the handle there)\n"
    "  -e NAME=VALUE  in PAM's environment beforehand\n"
    "  -q          PAM_SILENT\n"
    "  -f          fail at once: no delay that modules ask for\n"
    "  -k          keep the handle open when printing the memory\n"
    "  -t          print each call's time\n"
    "  -T          stop before and after each call, for a debugger\n";

#define THREADS_MAX 512

static const char *confdir, *service = "cockpit", *user, *address, *password, *calls = "", *environment;
static int count = 1, warm_up, flags;
static bool authenticated, print_times, keep, at_once, stops;

static void die(const char *what)
{
    fprintf(stderr, "pamhost: %s: %s\n", what, strerror(errno));
    exit(2);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- the state of this process ---------------------------------------- */

struct text {
    char *data;
    size_t size;
};

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void add_folder(FILE *out, const char *path, bool links)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, by_name);

    if (n < 0)
        die(path);
    for (int i = 0; i < n; i++) {
        char name[512], target[512] = "";
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        /* scandir has closed its own descriptor, so that its link cannot be read. */
        if (entries[i]->d_name[0] != '.') {
            ssize_t len = links ? readlink(name, target, sizeof target - 1) : 0;
            if (len >= 0)
                fprintf(out, "%s %s\n", name, target);
        }
        free(entries[i]);
    }
    free(entries);
}

static void add_lines(FILE *out, const char *path, const char *const *keys)
{
    char line[4096];
    FILE *in = fopen(path, "re");

    if (in == NULL)
        die(path);
    while (fgets(line, sizeof line, in) != NULL)
        for (const char *const *key = keys; *key != NULL; key++)
            if (strncmp(line, *key, strlen(*key)) == 0)
                fprintf(out, "%s", line);
    fclose(in);
}

/*
 * Adds this process's children, except those in state X (dead): where SIGCHLD is
 * ignored, waitpid(2) no longer finds these, and the kernel takes them off the
 * list a moment later.
 */
static void add_children(FILE *out)
{
    char path[64], state;
    int pid;
    FILE *in;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    in = fopen(path, "re");
    if (in == NULL)
        die(path);
    while (fscanf(in, "%d", &pid) == 1) {
        FILE *stat;

        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        stat = fopen(path, "re");
        if (stat == NULL)
            continue;
        if (fscanf(stat, "%*d (%*[^)]) %c", &state) == 1 && state != 'X')
            fprintf(out, "child %d, state %c\n", pid, state);
        fclose(stat);
    }
    fclose(in);
}

/* Threads, children, descriptors, signals, privileges, limits, environment, directory. */
static struct text snapshot(void)
{
    static const char *const status[] = {"Threads:", "SigQ:",        "SigPnd:", "ShdPnd:",  "SigBlk:", "SigIgn:", "SigCgt:",
                                         "Cap",      "NoNewPrivs:", "Seccomp", "Umask:",   "Uid:",    "Gid:",    "Groups:", NULL};
    static const char *const all[] = {"", NULL};
    struct text t = {0};
    char directory[4096];
    FILE *out = open_memstream(&t.data, &t.size);

    if (out == NULL)
        die("snapshot");
    add_lines(out, "/proc/self/status", status);
    add_children(out);
    add_folder(out, "/proc/self/task", false);
    add_folder(out, "/proc/self/fd", true);
    add_lines(out, "/proc/self/limits", all);
    fprintf(out, "dumpable %d\n", prctl(PR_GET_DUMPABLE));
    fprintf(out, "session keyring %ld\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    if (getcwd(directory, sizeof directory) != NULL)
        fprintf(out, "cwd %s\n", directory);
    for (char **e = environ; *e != NULL; e++)
        fprintf(out, "env %s\n", *e);
    fclose(out);
    return t;
}

static bool has_line(const char *text, const char *line, size_t len)
{
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

static int print_missing(const char *label, const char *from, const char *in)
{
    int missing = 0;
    char *copy = strdup(from), *rest = copy, *line;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line != '\0' && strncmp(line, "SigQ:", 5) != 0 && !has_line(in, line, strlen(line))) {
            printf("%s=%s\n", label, line);
            missing++;
        }
    free(copy);
    return missing;
}

static void print_memory(void)
{
    char line[256];
    long value;
    FILE *in = fopen("/proc/self/status", "re");

    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (sscanf(line, "Threads: %ld", &value) == 1)
            printf("threads=%ld\n", value);
    if (in != NULL)
        fclose(in);
    in = fopen("/proc/self/smaps_rollup", "re");
    if (in == NULL)
        return;
    while (fgets(line, sizeof line, in) != NULL) {
        if (sscanf(line, "Rss: %ld", &value) == 1)
            printf("rss_kib=%ld\n", value);
        if (sscanf(line, "Pss: %ld", &value) == 1)
            printf("pss_kib=%ld\n", value);
        if (sscanf(line, "Private_Dirty: %ld", &value) == 1)
            printf("private_dirty_kib=%ld\n", value);
    }
    fclose(in);
}

/* Prints how much of the module's first segment is in memory, which only the dynamic loader reads. */
static void print_head(void)
{
    char line[1024];
    bool head = false;
    long value;
    FILE *in = fopen("/proc/self/smaps", "re");

    if (in == NULL)
        return;
    while (fgets(line, sizeof line, in) != NULL) {
        if (strstr(line, "pam_cockpit_cert.so") != NULL)
            head = strstr(line, " 00000000 ") != NULL;
        if (head && sscanf(line, "Rss: %ld", &value) == 1) {
            printf("head_kib=%ld\n", value);
            break;
        }
    }
    fclose(in);
}

static void print_mapped(void)
{
    char line[1024];
    bool mapped = false;
    FILE *in = fopen("/proc/self/maps", "re");

    if (in == NULL)
        return;
    while (fgets(line, sizeof line, in) != NULL)
        mapped |= strstr(line, "pam_cockpit_cert") != NULL;
    fclose(in);
    printf("mapped_after_end=%s\n", mapped ? "yes" : "no");
}

/* --- authentication ----------------------------------------------------- */

struct outcome {
    int result;
    char user[512], said[512];
    double ms;
};

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    struct outcome *o = data;

    *responses = calloc((size_t)n, sizeof **responses);
    for (int i = 0; i < n; i++) {
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF && password != NULL)
            (*responses)[i].resp = strdup(password);
        else if (messages[i]->msg_style == PAM_ERROR_MSG || messages[i]->msg_style == PAM_TEXT_INFO)
            snprintf(o->said, sizeof o->said, "%s", messages[i]->msg);
        else
            return PAM_CONV_ERR;
    }
    return PAM_SUCCESS;
}

/* Ends the handle's copy in a child, like a host that does not know PAM_DATA_SILENT. */
static int end_in_child(pam_handle_t *pamh)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(pam_end(pamh, PAM_SUCCESS));
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

static int print_environment(pam_handle_t *pamh)
{
    char **lines = pam_getenvlist(pamh);

    for (char **line = lines; line != NULL && *line != NULL; line++) {
        printf("env=%s\n", *line);
        free(*line);
    }
    free(lines);
    return lines != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

static int print_groups(void)
{
    gid_t groups[64];
    int n = getgroups(64, groups);

    for (int i = 0; i < n; i++)
        printf("group=%lu\n", (unsigned long)groups[i]);
    return n >= 0 ? PAM_SUCCESS : PAM_SYSTEM_ERR;
}

static int call(pam_handle_t *pamh, char which)
{
    switch (which) {
    case 's':
        return pam_setcred(pamh, PAM_ESTABLISH_CRED);
    case 'r':
        return pam_setcred(pamh, PAM_REINITIALIZE_CRED);
    case 'd':
        return pam_setcred(pamh, PAM_DELETE_CRED);
    case 'e':
        return print_environment(pamh);
    case 'g':
        return print_groups();
    case 'f':
        return end_in_child(pamh);
    case 'a':
        return pam_acct_mgmt(pamh, 0);
    case 'o':
        return pam_open_session(pamh, 0);
    case 'c':
        return pam_close_session(pamh, 0);
    default:
        errno = EINVAL;
        die("-o");
        return 0;
    }
}

static void do_not_delay(int result, unsigned microseconds, void *data)
{
    (void)result;
    (void)microseconds;
    (void)data;
}

static pid_t own; /* asked beforehand: a debugger may have getpid(2) answer -1, which kill(2) takes for everybody */

static void stop_for_debugger(void) { kill(own, SIGSTOP); }

static void authenticate(struct outcome *o, bool report)
{
    pam_handle_t *pamh = NULL;
    struct pam_conv conversation = {converse, o};
    const void *item = NULL;
    double start;

    memset(o, 0, sizeof *o);
    start = now_ms();
    o->result = confdir != NULL ? pam_start_confdir(service, user, &conversation, confdir, &pamh)
                                : pam_start(service, user, &conversation, &pamh);
    if (o->result != PAM_SUCCESS) {
        errno = EINVAL;
        die("pam_start");
    }
    if (environment != NULL && pam_putenv(pamh, environment) != PAM_SUCCESS)
        die("-e");
    if (address != NULL && pam_set_item(pamh, PAM_RHOST, address) != PAM_SUCCESS)
        die("-r");
    if (at_once && pam_set_item(pamh, PAM_FAIL_DELAY, (const void *)(uintptr_t)do_not_delay) != PAM_SUCCESS)
        die("-f");
    if (stops) {
        stop_for_debugger();
        start = now_ms();
    }
    if (!authenticated)
        o->result = pam_authenticate(pamh, flags);
    o->ms = now_ms() - start;
    if (stops)
        stop_for_debugger();
    if (pam_get_item(pamh, PAM_USER, &item) == PAM_SUCCESS && item != NULL)
        snprintf(o->user, sizeof o->user, "%s", (const char *)item);
    for (const char *c = calls; report && *c != '\0'; c++)
        printf("%c=%d\n", *c, call(pamh, *c));
    if (report && keep) {
        print_memory();
        print_head();
    }
    pam_end(pamh, o->result);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct outcome first;
static int different;

static void *authenticate_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < count; i++) {
        struct outcome o;
        authenticate(&o, false);
        pthread_mutex_lock(&lock);
        if (print_times)
            printf("time_ms=%.3f\n", o.ms);
        if (o.result != first.result || strcmp(o.user, first.user) != 0) {
            different++;
            printf("different=%d %s\n", o.result, o.user);
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static volatile bool stop;

/* Allocates and logs without end: a fork in the middle may leave libc's locks held. */
static void *be_busy(void *unused)
{
    (void)unused;
    while (!stop) {
        void *p = malloc(1000 + (size_t)rand() % 100000);
        char *s;
        if (asprintf(&s, "%p %ld", p, (long)time(NULL)) > 0)
            free(s);
        free(p);
    }
    return NULL;
}

static void reap_all(int sig)
{
    int saved = errno;

    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

static void set_sigchld(const char *how)
{
    if (strcmp(how, "ignore") == 0)
        signal(SIGCHLD, SIG_IGN);
    else if (strcmp(how, "reap") == 0)
        signal(SIGCHLD, reap_all);
    else if (strcmp(how, "default") != 0) {
        errno = EINVAL;
        die("-C");
    }
}

static void do_nothing(int sig) { (void)sig; }

static void interrupt_every(int microseconds)
{
    const struct itimerval often = {{0, microseconds}, {0, microseconds}};
    const struct sigaction action = {.sa_handler = do_nothing}; /* without SA_RESTART */

    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &often, NULL) != 0)
        die("-i");
}

static sigjmp_buf before_call;

static void leave(int sig)
{
    (void)sig;
    siglongjmp(before_call, 1);
}

static void *be_cancelled(void *unused)
{
    (void)unused;
    pause();
    return NULL;
}

static void *authenticate_once(void *unused)
{
    struct outcome o;

    (void)unused;
    authenticate(&o, false);
    return NULL;
}

/* Leaves a call of the module in one of the ways of badly written hosts. */
static void leave_call(const char *how)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 300000}};
    pthread_t thread;

    if (strcmp(how, "jump") == 0) {
        signal(SIGALRM, leave);
        if (sigsetjmp(before_call, 1) == 0) {
            setitimer(ITIMER_REAL, &soon, NULL);
            authenticate_once(NULL);
        }
        signal(SIGALRM, SIG_DFL);
    } else if (strcmp(how, "cancel") == 0) {
        if (pthread_create(&thread, NULL, authenticate_once, NULL) != 0)
            die("-x");
        usleep(300000);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    } else if (strcmp(how, "namespace") == 0) {
        if (unshare(CLONE_NEWPID) != 0)
            die("-x");
    } else {
        errno = EINVAL;
        die("-x");
    }
}

int main(int argc, char **argv)
{
    int c, threads = 1, busy = 0, changes;
    bool interrupted = false;
    const char *left = NULL;
    struct text before, after;
    pthread_t ids[THREADS_MAX], busy_ids[THREADS_MAX];

    while ((c = getopt(argc, argv, "d:s:u:r:p:gn:w:j:b:C:o:e:x:iqfktT")) != -1) {
        switch (c) {
        case 'd': confdir = optarg; break;
        case 's': service = optarg; break;
        case 'u': user = optarg; break;
        case 'r': address = optarg; break;
        case 'p': password = optarg; break;
        case 'g': authenticated = true; break;
        case 'n': count = atoi(optarg); break;
        case 'w': warm_up = atoi(optarg); break;
        case 'j': threads = atoi(optarg); break;
        case 'b': busy = atoi(optarg); break;
        case 'C': set_sigchld(optarg); break;
        case 'o': calls = optarg; break;
        case 'e': environment = optarg; break;
        case 'x': left = optarg; break;
        case 'i': interrupted = true; break;
        case 'q': flags |= PAM_SILENT; break;
        case 'f': at_once = true; break;
        case 'k': keep = true; break;
        case 't': print_times = true; break;
        case 'T': stops = true; own = getpid(); break;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind != argc || threads > THREADS_MAX || busy > THREADS_MAX) {
        fputs(usage, stderr);
        return 2;
    }

    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    /* libc keeps its connection to syslog open after the first log line: open it before the measurement. */
    openlog(NULL, LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
    /* So does SSSD's NSS module, which every program that looks up a user loads. */
    (void)getpwnam("nobody-has-this-name");
    for (int i = 0; i < busy; i++)
        pthread_create(&busy_ids[i], NULL, be_busy, NULL);

    if (left != NULL && strcmp(left, "cancel") == 0 && pthread_create(&ids[0], NULL, be_cancelled, NULL) == 0) {
        pthread_cancel(ids[0]); /* libc installs its handler the first time */
        pthread_join(ids[0], NULL);
    }
    if (interrupted)
        interrupt_every(0); /* the handler alone */
    before = snapshot();
    if (interrupted)
        interrupt_every(1000);
    if (left != NULL)
        leave_call(left);
    if (left == NULL || strcmp(left, "cancel") != 0)
        authenticate(&first, true);
    for (int i = 0; i < warm_up; i++) {
        struct outcome o;
        authenticate(&o, false);
    }
    if (print_times)
        printf("time_ms=%.3f\n", first.ms);
    if (threads > 1) {
        for (int i = 0; i < threads; i++)
            pthread_create(&ids[i], NULL, authenticate_often, NULL);
        for (int i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
    } else if (count > 1) {
        count--;
        authenticate_often(NULL);
    }
    if (interrupted)
        interrupt_every(0);
    after = snapshot();

    printf("result=%d\nuser=%s\nsaid=%s\nms=%.3f\ndifferent_count=%d\n", first.result, first.user, first.said, first.ms,
           different);
    changes = print_missing("gone", before.data, after.data);
    changes += print_missing("new", after.data, before.data);
    printf("changes=%d\n", changes);
    print_mapped();
    if (!keep)
        print_memory();
    stop = true;
    for (int i = 0; i < busy; i++)
        pthread_join(busy_ids[i], NULL);
    free(before.data);
    free(after.data);
    return 0;
}
