/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    return (int)syscall(SYS_capset, &header, none);
}

bool become(uid_t uid, gid_t gid)
{
    /* Not dumpable: otherwise the user could read the host's ticket in this process's memory. */
    if (setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
        drop_capabilities() == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
        return true;
    report(LOG_ERR, "no Kerberos ticket: cannot become the user: %s", strerror(errno));
    return false;
}

bool enter_runtime_directory(uid_t uid, bool has_to_be)
{
    char path[64];
    struct stat st;
    int fd;

    snprintf(path, sizeof path, "/run/user/%lu", (unsigned long)uid);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (has_to_be || errno != ENOENT)
            report(LOG_WARNING, "no Kerberos ticket: %s: %s; is pam_systemd in the session stack?", path, strerror(errno));
    } else if (st.st_uid != uid || (st.st_mode & 022) != 0) {
        report(LOG_WARNING, "no Kerberos ticket: %s is not the user's alone", path);
    } else if (fchdir(fd) != 0) {
        report(LOG_WARNING, "no Kerberos ticket: %s: %s", path, strerror(errno));
    } else {
        close(fd);
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}

bool file_remove(const char *name)
{
    if (unlink(name) == 0 || errno == ENOENT)
        return true;
    report(LOG_WARNING, "Kerberos tickets: cannot remove %s from the user's runtime directory: %s", name, strerror(errno));
    return false;
}

static krb5_error_code copy_all(krb5_context context, krb5_ccache from, krb5_ccache to)
{
    krb5_principal principal = NULL;
    krb5_cc_cursor cursor;
    krb5_creds creds;
    krb5_error_code code = krb5_cc_get_principal(context, from, &principal);

    if (code == 0)
        code = krb5_cc_initialize(context, to, principal);
    krb5_free_principal(context, principal);
    if (code == 0)
        code = krb5_cc_start_seq_get(context, from, &cursor);
    if (code != 0)
        return code;
    while (code == 0 && krb5_cc_next_cred(context, from, &cursor, &creds) == 0) {
        code = krb5_cc_store_cred(context, to, &creds);
        krb5_free_cred_contents(context, &creds);
    }
    krb5_cc_end_seq_get(context, from, &cursor);
    return code;
}

bool file_write(krb5_context context, krb5_ccache from, const char *name)
{
    char full[128];
    krb5_ccache to = NULL;
    krb5_error_code code;

    /* Once the old file is removed, libkrb5 makes a new one, and follows no link. */
    if (!file_remove(name))
        return false;
    snprintf(full, sizeof full, "FILE:%s", name);
    code = krb5_cc_resolve(context, full, &to);
    if (code == 0)
        code = copy_all(context, from, to);
    if (to != NULL)
        krb5_cc_close(context, to);
    if (code != 0) {
        const char *text = krb5_get_error_message(context, code);
        report(LOG_WARNING, "no Kerberos ticket: cannot write %s in the user's runtime directory: %s; is it full? see df", name,
               text);
        krb5_free_error_message(context, text);
        (void)unlink(name);
    }
    return code == 0;
}
