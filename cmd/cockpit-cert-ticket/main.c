/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * cockpit-cert-ticket gets, with this host's keytab, Kerberos tickets for a user
 * who logged in with a certificate, and writes them to a file that belongs to the
 * user; or it removes that file. The PAM module executes it as root, with an empty
 * environment and a time limit, and reads its reports. It works with caches in
 * memory, so that it never uses root's own tickets, nor gives them to the user.
 */

#define _GNU_SOURCE
#include "ticket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

/* The place of the key of HTTP/FQDN in Cockpit's documentation. */
#define COCKPIT_KEYTAB "FILE:/etc/cockpit/krb5.keytab"

/* A group without rights: the program needs no group. */
#define NO_GROUP 65534

static const char usage[] = "usage: cockpit-cert-ticket [-t service@host]... user uid file\n"
                            "       cockpit-cert-ticket -r uid file\n"
                            "The PAM module pam_cockpit_cert runs this, see pam_cockpit_cert(8).\n";

static int fail_usage(void)
{
    fputs(usage, stderr);
    return 2;
}

static bool parse_uid(const char *text, uid_t *uid)
{
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    *uid = (uid_t)value;
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *uid == value && *uid != (uid_t)-1;
}

/* Whether the name is one of a file in the user's runtime directory, without a path. */
static bool plain_name(const char *name) { return *name != '\0' && *name != '.' && strchr(name, '/') == NULL; }

/* Collects tickets with one keytab, if it exists. Returns how many tickets there are. */
static size_t collect(krb5_context context, const char *name, const struct person *person, struct target *targets,
                      size_t targets_count, krb5_ccache out)
{
    size_t copied = 0;
    krb5_keytab keytab = NULL;
    krb5_principal client = NULL;
    krb5_error_code code = name != NULL ? krb5_kt_resolve(context, name, &keytab) : krb5_kt_default(context, &keytab);

    if (code != 0) {
        const char *text = krb5_get_error_message(context, code);
        report(LOG_WARNING, "no Kerberos ticket: %s; see default_keytab_name in krb5.conf", text);
        krb5_free_error_message(context, text);
        return 0;
    }
    client = keytab_client(context, keytab);
    if (client != NULL)
        copied = delegate(context, keytab, client, person, targets, targets_count, out);
    krb5_free_principal(context, client);
    krb5_kt_close(context, keytab);
    return copied;
}

static bool all_served(const struct target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!targets[i].served)
            return false;
    return true;
}

static void make(struct person *person, const char *file, struct target *targets, size_t targets_count)
{
    krb5_context context = NULL;
    krb5_ccache tickets = NULL;
    size_t count = 0;

    if (!person_read(person))
        return;
    if (krb5_init_secure_context(&context) != 0) {
        report(LOG_WARNING, "no Kerberos ticket: cannot read /etc/krb5.conf; see klist");
        return;
    }
    if (krb5_cc_new_unique(context, "MEMORY", NULL, &tickets) == 0) {
        /* With the host's key; then with Cockpit's, which FreeIPA's delegation rules may name instead. */
        count = collect(context, NULL, person, targets, targets_count, tickets);
        if (count == 0 || !all_served(targets, targets_count))
            count += collect(context, COCKPIT_KEYTAB, person, targets, targets_count, tickets);
        for (size_t i = 0; count > 0 && i < targets_count; i++)
            if (!targets[i].served)
                report(LOG_WARNING, "no Kerberos ticket for %s: %s: does the domain let this host delegate to it?",
                       targets[i].name, targets[i].error);
        if (count > 0 && become(person->uid, person->gid) && enter_runtime_directory(person->uid, true) &&
            file_write(context, tickets, file))
            report_written();
        krb5_cc_destroy(context, tickets);
    }
    krb5_free_context(context);
}

int main(int argc, char **argv)
{
    static const struct rlimit none = {0, 0};
    bool removing = false;
    int option;
    size_t targets_count = 0;
    struct target targets[TARGETS_MAX];
    struct person person = {0};

    while ((option = getopt(argc, argv, "rt:")) != -1) {
        if (option == 'r') {
            removing = true;
        } else if (option == 't' && targets_count < TARGETS_MAX) {
            targets[targets_count++] = (struct target){.name = optarg};
        } else {
            return fail_usage();
        }
    }
    argv += optind;
    argc -= optind;
    if (argc != (removing ? 2 : 3) || !plain_name(argv[argc - 1]) || !parse_uid(argv[argc - 2], &person.uid))
        return fail_usage();

    umask(077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0) {
        report(LOG_ERR, "no Kerberos ticket: cannot give up privileges: %s", strerror(errno));
        return 1;
    }
    if (!removing) {
        person.name = argv[0];
        make(&person, argv[2], targets, targets_count);
    } else if (become(person.uid, NO_GROUP) && enter_runtime_directory(person.uid, false)) {
        (void)file_remove(argv[1]);
    }
    return 0;
}
