/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif

/* cockpit-tls keeps the certificates in a folder of mode 0700 that is not root's. */
#define CAPABILITIES_KEPT (1u << CAP_DAC_READ_SEARCH)

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    data[0].permitted &= CAPABILITIES_KEPT;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    memset(&data[1], 0, sizeof data[1]);
    return (int)syscall(SYS_capset, &header, data);
}

/* Nothing is written, created, removed or executed: root without capabilities still owns most files. */
static int deny_file_changes(void)
{
#ifdef LANDLOCK_ACCESS_FS_MAKE_SYM
    static const struct landlock_ruleset_attr nothing_allowed = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                             LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                             LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                             LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                             LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
    };
    int result, ruleset;

    ruleset = (int)syscall(SYS_landlock_create_ruleset, &nothing_allowed, sizeof nothing_allowed, 0);
    if (ruleset < 0) /* not in this kernel, or off at boot, or a filter of the host's */
        return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -1;
    result = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
    return result;
#else
    return 0;
#endif
}

int sandbox_enter(void)
{
    static const struct rlimit none = {0, 0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || /* first: Landlock wants it */
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||     /* no core, and no other process reads our memory */
        setrlimit(RLIMIT_CORE, &none) != 0 ||          /* none to a pipe handler either */
        setrlimit(RLIMIT_FSIZE, &none) != 0)           /* no file grows, Landlock or not */
        return -1;
    if (deny_file_changes() != 0)
        return -1;
    return drop_capabilities();
}
