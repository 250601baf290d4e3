/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void child_close_descriptors(void)
{
    DIR *dir;
    struct dirent *entry;

#ifdef SYS_close_range
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) == 0)
        return;
#endif
    /* Before Linux 5.9: one by one. */
    dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO && fd != dirfd(dir))
            close(fd);
    }
    closedir(dir);
}

/* By the system call: libc's sigaction() rejects the two signals that libc itself uses; the host may ignore them. */
void child_reset_signals(void)
{
    static const unsigned long action[8]; /* the kernel's struct sigaction: SIG_DFL, no flags */
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        (void)syscall(SYS_rt_sigaction, sig, action, NULL, (NSIG - 1) / 8);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

pid_t child_fork_sharing_descriptors(void)
{
#ifdef __s390__
    pid_t pid = (pid_t)syscall(SYS_clone, 0, CLONE_FILES | SIGCHLD, 0, 0, 0);
#else
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
#endif
    return pid < 0 && errno == EINVAL ? fork() : pid; /* qemu's user mode emulation only knows fork */
}
