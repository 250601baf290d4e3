/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "ticket.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

bool person_read(struct person *person)
{
    const struct passwd *account = getpwnam(person->name);

    if (account == NULL || account->pw_uid != person->uid) {
        report(LOG_WARNING, "no Kerberos ticket: the user %s is not the one who logged in; see getent passwd", person->name);
        return false;
    }
    person->gid = account->pw_gid;
    return true;
}

/*
 * Whether NAME@REALM is this user. SSSD finds a user of its domain by this name,
 * whatever the form of full names on this host. A local user has no such name, and
 * a user of another domain with the same short name has another uid: the ticket
 * would be that of another user. krb5_aname_to_localname only compares texts, and
 * krb5_kuserok reads a file in the user's home, which can hang.
 */
static bool is_person(const struct person *person, const char *name, const char *realm)
{
    char full[512];
    const struct passwd *account;

    if ((size_t)snprintf(full, sizeof full, "%s@%s", name, realm) >= sizeof full)
        return false;
    account = getpwnam(full);
    return account != NULL && account->pw_uid == person->uid;
}

bool person_is(const struct person *person, krb5_const_principal principal)
{
    char name[256], realm[256];
    const krb5_data *component, *of = &principal->realm;

    if (principal->length != 1)
        return false;
    component = &principal->data[0];
    if (component->length >= sizeof name || of->length >= sizeof realm)
        return false;
    memcpy(name, component->data, component->length);
    name[component->length] = '\0';
    memcpy(realm, of->data, of->length);
    realm[of->length] = '\0';
    return strlen(name) == component->length && strlen(realm) == of->length && is_person(person, name, realm);
}

/* Returns SSSD's name without the domain that it may have: user@domain or DOMAIN\user. */
static bool short_name(const char *full, char *name, size_t size)
{
    const char *backslash = strchr(full, '\\'), *start = backslash != NULL ? backslash + 1 : full;
    const char *at = strrchr(start, '@');
    size_t length = at != NULL ? (size_t)(at - start) : strlen(start);

    if (length == 0 || length >= size)
        return false;
    memcpy(name, start, length);
    name[length] = '\0';
    return true;
}

krb5_principal person_principal(krb5_context context, const struct person *person, const char *realm)
{
    char full[256], name[256];
    krb5_principal principal = NULL;

    switch (directory_name(person->uid, full, sizeof full)) {
    case DIRECTORY_NAME:
        break;
    case DIRECTORY_NO_SID:
        snprintf(full, sizeof full, "%s", person->name);
        break;
    case DIRECTORY_UNKNOWN: /* PAM's name may be that of another user in the directory */
        return NULL;
    }
    if (!short_name(full, name, sizeof name) || !is_person(person, name, realm)) {
        reason_keep(LOG_NOTICE, "SSSD does not know %s as a user of %s; turn this off with no_ticket", person->name, realm);
        return NULL;
    }
    if (krb5_build_principal_ext(context, &principal, (unsigned)strlen(realm), realm, (unsigned)strlen(name), name, 0) != 0)
        return NULL;
    return principal;
}
