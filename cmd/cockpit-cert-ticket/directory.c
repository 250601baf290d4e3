/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "ticket.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A library of SSSD. It is loaded here, so that neither the build nor the package needs it where SSSD is not used. */
#define LIBRARY "libsss_nss_idmap.so.0"

/* The library's functions. They return 0 or an error; the caller frees the text. */
typedef int sid_of_uid(uint32_t uid, char **sid, int *type);
typedef int name_of_sid(const char *sid, char **name, int *type);

bool directory_name(uid_t uid, char *name, size_t size)
{
    char *sid = NULL, *found = NULL;
    int type, length = -1;
    sid_of_uid *find_sid = NULL;
    name_of_sid *find_name = NULL;
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (library != NULL) {
        find_sid = (sid_of_uid *)dlsym(library, "sss_nss_getsidbyuid");
        find_name = (name_of_sid *)dlsym(library, "sss_nss_getnamebysid");
    }
    if (find_sid != NULL && find_name != NULL && find_sid(uid, &sid, &type) == 0 && find_name(sid, &found, &type) == 0)
        length = snprintf(name, size, "%s", found);
    free(sid);
    free(found);
    return length > 0 && (size_t)length < size;
}
