/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For reading the certificates: cockpit-tls keeps them in a directory of mode 0700 whose owner is not root. */
#define CAPABILITIES_KEPT (1u << CAP_DAC_READ_SEARCH)

/* The kernel's overflow uid, see user_namespaces(7); distributions call it nobody. */
#define NOBODY 65534

/*
 * Makes the worker nobody for access to files, because root without capabilities
 * still owns most files. It stays root for everything else, such as for D-Bus. A
 * user namespace may have no such uid.
 *
 * The worker keeps root's group: a /proc mounted with hidepid and gid= shows
 * the peer's control group to that group, see proc(5).
 */
static int become_nobody_for_files(void)
{
    static const gid_t root = 0;

    if (geteuid() != 0)
        return 0;
    if (setgroups(1, &root) != 0 && errno != EPERM)
        return -1;
    (void)setfsgid(NOBODY);
    (void)setfsuid(NOBODY);
    return 0;
}

/* Drops all capabilities but one. Called after the change of user, which clears the effective ones about files. */
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

int sandbox_enter(void)
{
    static const struct rlimit none = {0, 0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || /* first, because Landlock and the filter require it */
        setrlimit(RLIMIT_CORE, &none) != 0 ||          /* none to a pipe handler either */
        sandbox_files() != 0 || become_nobody_for_files() != 0 || drop_capabilities() != 0)
        return -1;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core, and no other process reads our memory */
}
