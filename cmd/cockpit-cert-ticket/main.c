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
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

/* The place of the key of HTTP/FQDN in Cockpit's documentation. */
#define COCKPIT_KEYTAB "FILE:/etc/cockpit/krb5.keytab"

/* A group without rights: the program needs no group. */
#define NO_GROUP 65534

/* Seconds that writing the file may take, which is much more than it does. */
#define SAVE_LIMIT 10

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

static bool all_served(const struct request *request)
{
    for (size_t i = 0; i < request->targets_count; i++)
        if (!request->targets[i].served)
            return false;
    return true;
}

/*
 * Becomes the user, and writes the tickets. Returns false, after a report, if that fails.
 * The time limit for the KDC must not end this halfway, when the old file is removed.
 */
static bool save(krb5_context context, const struct request *request)
{
    alarm(SAVE_LIMIT);
    if (!become(request->person.uid, request->person.gid) || !enter_runtime_directory(request->person.uid, true) ||
        !file_write(context, request->tickets, request->file))
        return false;
    report_written();
    return true;
}

/*
 * Writes the tickets in a child, which becomes the user, so that this process can get
 * more with the host's key. If the service of another domain takes too long, and the
 * time limit ends this process, the user still has these.
 */
static bool save_in_child(krb5_context context, const struct request *request)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(save(context, request) ? EXIT_SUCCESS : EXIT_FAILURE);
    if (pid < 0)
        return true; /* without a child they are written at the end */
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

enum result { NO_TICKETS, TICKETS, NOT_WRITABLE };

/* Gets tickets with one keytab, if it exists. */
static enum result collect(krb5_context context, const char *name, struct request *request)
{
    enum result result = NO_TICKETS;
    size_t count;
    OM_uint32 ignored;
    krb5_keytab keytab = NULL;
    krb5_principal clients[CLIENTS_MAX];
    krb5_error_code code = name != NULL ? krb5_kt_resolve(context, name, &keytab) : krb5_kt_default(context, &keytab);

    if (code != 0) {
        const char *text = krb5_get_error_message(context, code);
        reason_keep(LOG_WARNING, "%s; see default_keytab_name in krb5.conf", text);
        krb5_free_error_message(context, text);
        return NO_TICKETS;
    }
    reason_mark();
    count = keytab_clients(context, keytab, clients);
    for (size_t i = 0; i < count; i++) {
        gss_cred_id_t credential =
            result == NO_TICKETS ? delegate_to_host(context, keytab, clients[i], request) : GSS_C_NO_CREDENTIAL;

        if (credential != GSS_C_NO_CREDENTIAL) {
            reason_forget();
            result = TICKETS;
            if (!all_served(request)) {
                if (save_in_child(context, request))
                    delegate_to_targets(context, keytab, clients[i], credential, request);
                else
                    result = NOT_WRITABLE;
            }
            gss_release_cred(&ignored, &credential);
        }
        krb5_free_principal(context, clients[i]);
    }
    krb5_kt_close(context, keytab);
    return result;
}

static void make(struct request *request)
{
    krb5_context context = NULL;
    krb5_error_code code;
    enum result host, cockpit = NO_TICKETS;

    if (!person_read(&request->person))
        return;
    code = krb5_init_secure_context(&context);
    if (code != 0) {
        const char *text = krb5_get_error_message(NULL, code);
        report(LOG_WARNING, "no Kerberos ticket: cannot read /etc/krb5.conf or a file that it includes: %s; see klist", text);
        krb5_free_error_message(NULL, text);
        return;
    }
    if (krb5_cc_new_unique(context, "MEMORY", NULL, &request->tickets) == 0) {
        /* With the host's key; then with Cockpit's, which FreeIPA's delegation rules may name instead. */
        host = collect(context, NULL, request);
        if (host == NO_TICKETS || (host == TICKETS && !all_served(request)))
            cockpit = collect(context, COCKPIT_KEYTAB, request);
        if (host == NO_TICKETS && cockpit == NO_TICKETS) {
            reason_report(LOG_DEBUG);
        } else if (host != NOT_WRITABLE && cockpit != NOT_WRITABLE) {
            reason_report(LOG_WARNING);
            for (size_t i = 0; i < request->targets_count; i++)
                if (!request->targets[i].served)
                    report(LOG_WARNING, "no Kerberos ticket for %s: %s", request->targets[i].name, request->targets[i].error);
            (void)save(context, request);
        }
        krb5_cc_destroy(context, request->tickets);
    }
    krb5_free_context(context);
}

int main(int argc, char **argv)
{
    static const struct rlimit none = {0, 0};
    static struct request request;
    bool removing = false;
    int option;

    while ((option = getopt(argc, argv, "rt:")) != -1) {
        if (option == 'r') {
            removing = true;
        } else if (option == 't' && request.targets_count < TARGETS_MAX) {
            request.targets[request.targets_count++].name = optarg;
        } else {
            return fail_usage();
        }
    }
    argv += optind;
    argc -= optind;
    if (argc != (removing ? 2 : 3) || !plain_name(argv[argc - 1]) || !parse_uid(argv[argc - 2], &request.person.uid))
        return fail_usage();
    request.file = argv[argc - 1];

    umask(077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0) {
        report(LOG_ERR, "no Kerberos ticket: cannot give up privileges: %s", strerror(errno));
        return 1;
    }
    if (!removing) {
        request.person.name = argv[0];
        make(&request);
    } else if (become(request.person.uid, NO_GROUP) && enter_runtime_directory(request.person.uid, false)) {
        (void)file_remove(request.file);
    }
    return 0;
}
