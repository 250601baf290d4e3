/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "ticket.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

/*
 * A library of SSSD. It is loaded here, so that the build does not need it. Where the
 * dynamic linker does not find it by its name, as on NixOS, the build sets its path.
 */
#ifndef SSSD_LIBRARY
#define SSSD_LIBRARY "libsss_nss_idmap.so.0"
#endif

/* The library's functions. They return 0 or an error; the caller frees the text. */
typedef int sid_of_uid(uint32_t uid, char **sid, int *type);
typedef int name_of_sid(const char *sid, char **name, int *type);

enum directory_result directory_name(uid_t uid, char *name, size_t size)
{
    char *sid = NULL, *found = NULL;
    int type, length;
    enum directory_result result = DIRECTORY_UNKNOWN;
    sid_of_uid *find_sid = NULL;
    name_of_sid *find_name = NULL;
    void *library = dlopen(SSSD_LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library != NULL) {
        find_sid = (sid_of_uid *)dlsym(library, "sss_nss_getsidbyuid");
        find_name = (name_of_sid *)dlsym(library, "sss_nss_getnamebysid");
    }
    if (find_sid == NULL || find_name == NULL) {
        reason_keep(LOG_WARNING, "cannot load SSSD's library %s: install it", SSSD_LIBRARY);
    } else if (find_sid(uid, &sid, &type) != 0) {
        result = DIRECTORY_NO_SID;
    } else {
        length = find_name(sid, &found, &type) == 0 ? snprintf(name, size, "%s", found) : -1;
        if (length > 0 && (size_t)length < size)
            result = DIRECTORY_NAME;
        else
            reason_keep(LOG_WARNING, "SSSD does not say which user of the directory has the uid %lu; see sssctl domain-status",
                        (unsigned long)uid);
    }
    free(sid);
    free(found);
    return result;
}
