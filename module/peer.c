/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * Before Linux 6.5 the kernel names a socket's peer by its PID only. An attacker
 * who has taken over one cockpit-ws could leave its connection to a child and
 * let the process exit. Once another user's cockpit-ws gets that PID, the
 * attacker would be logged in as that user. Hence the process with the PID has
 * to hold the other end of this very socket.
 */

#define _GNU_SOURCE
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h; PA-RISC and SPARC, where Go does not run, differ */
#endif

/* Asks the kernel for the inode of the socket at the other end, see sock_diag(7). Returns 0, or -errno. */
static int other_end(int diag, uint32_t own, uint32_t *other)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } question = {
        .header = {.nlmsg_len = sizeof question, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = ~0u,
                    .udiag_ino = own,
                    .udiag_show = UDIAG_SHOW_PEER,
                    .udiag_cookie = {~0u, ~0u}},
    };
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } answer;
    struct sockaddr_nl from;
    socklen_t from_size = sizeof from;
    const struct unix_diag_msg *found;
    ssize_t size;

    if (send(diag, &question, sizeof question, 0) < 0)
        return -errno;
    size = recvfrom(diag, &answer, sizeof answer, 0, (struct sockaddr *)&from, &from_size);
    if (size < 0)
        return -errno;
    if (from.nl_pid != 0 || !NLMSG_OK(&answer.header, size)) /* only the kernel has port 0 */
        return -EBADMSG;
    if (answer.header.nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *failed = NLMSG_DATA(&answer.header);
        bool whole = answer.header.nlmsg_len >= NLMSG_LENGTH(sizeof *failed);
        return whole && failed->error < 0 ? failed->error : -EBADMSG;
    }
    if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY || answer.header.nlmsg_len < NLMSG_LENGTH(sizeof *found))
        return -EBADMSG;
    found = NLMSG_DATA(&answer.header);
    size = (ssize_t)(answer.header.nlmsg_len - NLMSG_LENGTH(sizeof *found));
    for (const struct rtattr *a = (const struct rtattr *)(found + 1); RTA_OK(a, size); a = RTA_NEXT(a, size))
        if (a->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(a) == sizeof *other) {
            memcpy(other, RTA_DATA(a), sizeof *other);
            return 0;
        }
    return -ESRCH; /* it has been closed */
}

/*
 * Whether the process with this open directory of proc(5) holds the socket. The
 * link's text says what a descriptor is. Only a socket's descriptor is followed,
 * because following one to a file can hang with its file system.
 */
static int holds(int process, dev_t sockets, uint32_t inode)
{
    char want[32], is[sizeof want + 1];
    int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = -ESRCH;
    DIR *dir = fds < 0 ? NULL : fdopendir(fds);
    const struct dirent *entry;

    if (dir == NULL) {
        result = -errno;
        if (fds >= 0)
            close(fds);
        return result == -ENOENT ? -ESRCH : result;
    }
    snprintf(want, sizeof want, "socket:[%lu]", (unsigned long)inode);
    while (result != 0 && (entry = readdir(dir)) != NULL) {
        struct stat file;
        ssize_t n = readlinkat(fds, entry->d_name, is, sizeof is - 1);

        if (n < 0)
            continue; /* closed meanwhile, or not a descriptor */
        is[n] = '\0';
        if (strcmp(is, want) == 0 && fstatat(fds, entry->d_name, &file, 0) == 0 && S_ISSOCK(file.st_mode) &&
            file.st_dev == sockets && file.st_ino == inode)
            result = 0;
    }
    closedir(dir);
    return result;
}

/* Whether standard input is a connected Unix socket whose peer the kernel cannot pin (no SO_PEERPIDFD). */
static bool unpinned(void)
{
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    int pidfd;

    if (getpeername(STDIN_FILENO, (struct sockaddr *)&address, &size) != 0 || address.sun_family != AF_UNIX)
        return false;
    size = sizeof pidfd;
    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
        close(pidfd);
        return false;
    }
    return errno == ENOPROTOOPT;
}

int peer_holder(void)
{
    struct ucred who;
    socklen_t size = sizeof who;
    struct stat own;
    uint32_t other;
    char path[32];
    int diag, process, result;

    if (!unpinned())
        return 0;
    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || fstat(STDIN_FILENO, &own) != 0)
        return -errno;
    diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (diag < 0)
        return -errno;
    result = other_end(diag, (uint32_t)own.st_ino, &other);
    close(diag);
    if (result != 0)
        return result;

    snprintf(path, sizeof path, "/proc/%ld", (long)who.pid);
    process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    result = holds(process, own.st_dev, other);
    if (result == 0)
        return process;
    close(process);
    return result;
}
