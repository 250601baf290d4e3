/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * Landlock, landlock(7), restricts what the worker may do with files, and in
 * later versions with the network and other processes. The numbers are the
 * kernel's interface; older headers lack some of them.
 */

#define _GNU_SOURCE
#include "sandbox.h"

#include "exported.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset /* the same on all of Go's architectures */
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

#define READ_FILE (1u << 2)
#define READ_DIR (1u << 3)

struct ruleset {
    uint64_t files, network, scoped;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/* Returns all rights that a version of the interface can forbid. */
static struct ruleset everything(int version)
{
    struct ruleset all = {.files = (1u << 13) - 1}; /* execute, write, read, remove, make */

    if (version >= 2)
        all.files |= 1u << 13; /* link and rename to another directory */
    if (version >= 3)
        all.files |= 1u << 14; /* truncate */
    if (version >= 4)
        all.network = 1u << 0 | 1u << 1; /* TCP: bind, connect */
    if (version >= 5)
        all.files |= 1u << 15; /* ioctl of devices */
    if (version >= 6)
        all.scoped = 1u << 0 | 1u << 1; /* abstract Unix sockets, signals */
    return all;
}

static int allow_reading(int ruleset, const char *path)
{
    struct path_beneath rule = {.allowed = READ_FILE | READ_DIR};
    int error, result;

    rule.parent = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent < 0)
        return errno == ENOENT ? 0 : -1;
    result = (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    error = errno;
    close(rule.parent);
    errno = error;
    return result;
}

int sandbox_files(void)
{
    int error, result, ruleset, version;
    struct ruleset rights;

    version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (version < 0) /* not in this kernel, turned off at boot, or rejected by the host's filter */
        return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -1;
    rights = everything(version);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0);
    if (ruleset < 0)
        return -1;
    /* The bus's socket needs no rule: Landlock does not restrict connecting to a path. */
    result = allow_reading(ruleset, "/proc") != 0 || allow_reading(ruleset, EXPORTED) != 0
                 ? -1
                 : (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    error = errno;
    close(ruleset);
    errno = error;
    return result;
}
