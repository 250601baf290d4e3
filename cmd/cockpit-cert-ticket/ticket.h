/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The parts of cockpit-cert-ticket, which main.c calls one after the other. */

#ifndef COCKPIT_CERT_TICKET_H
#define COCKPIT_CERT_TICKET_H

#include <gssapi/gssapi.h>
#include <krb5/krb5.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The most services that a rule in pam.d can name. */
#define TARGETS_MAX 16

/* A service for which the user gets a ticket, service@host. */
struct target {
    const char *name;
    bool served;
    char error[300]; /* why the user gets none, and what to do */
};

struct person {
    const char *name; /* PAM's user name */
    uid_t uid;
    gid_t gid;
};

/* What the PAM module asks for, and the tickets that there are so far. */
struct request {
    struct person person;
    const char *file; /* where to write them, in the user's runtime directory */
    struct target targets[TARGETS_MAX];
    size_t targets_count;
    krb5_ccache tickets; /* in memory */
};

/* --- report.c ------------------------------------------------------------ */

/* Reports a line to the PAM module, for its log. */
void report(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Keeps a reason why the user has no ticket. A keytab may have several keys, of which
 * one that works is enough: of several reasons the first of the most serious is kept,
 * and it is reported only if it matters in the end.
 */
void reason_keep(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forgets the reasons since the mark, because another key works. */
void reason_mark(void);
void reason_forget(void);

/* Reports the reason that was kept, if it is at least as serious as this priority. */
void reason_report(int at_least);

/* Reports to the PAM module that the file has been written. */
void report_written(void);

/* --- keytab.c ------------------------------------------------------------ */

/* The most names of a keytab that are tried. */
#define CLIENTS_MAX 8

/*
 * Finds the names under which this host may be a client of the KDC, the most suitable
 * ones first. Returns how many they are: none without a keytab, or, with a reason, if
 * the keytab has no key of this host. The caller frees them.
 */
size_t keytab_clients(krb5_context context, krb5_keytab keytab, krb5_principal clients[CLIENTS_MAX]);

/*
 * Stores the ticket under each name host/FQDN for which the keytab has the key with
 * which the ticket is encrypted. Returns the number of these names.
 */
size_t keytab_store_as_host(krb5_context context, krb5_keytab keytab, krb5_creds *ticket, krb5_ccache out);

/* --- person.c ------------------------------------------------------------ */

/* Reads the account. Returns false, after a report, if it has another uid or does not exist. */
bool person_read(struct person *person);

/* Makes the user's principal in this realm. Returns NULL, with a reason, if SSSD maps it to no or another user. */
krb5_principal person_principal(krb5_context context, const struct person *person, const char *realm);

/* Whether a principal is this user. */
bool person_is(const struct person *person, krb5_const_principal principal);

/* --- directory.c --------------------------------------------------------- */

enum directory_result { DIRECTORY_NAME, DIRECTORY_NO_SID, DIRECTORY_UNKNOWN };

/*
 * Finds the user's name in the directory. On this host SSSD may give the user another
 * one, see sss_override(8), which may even be that of another user of the domain.
 * Returns DIRECTORY_NO_SID if the directory has no SIDs, by which SSSD could tell; and
 * DIRECTORY_UNKNOWN, with a reason, if the name could not be found out.
 */
enum directory_result directory_name(uid_t uid, char *name, size_t size);

/* --- delegate.c ---------------------------------------------------------- */

/*
 * Gets the user's ticket for this host, and the credential with which this host acts
 * for the user. Returns GSS_C_NO_CREDENTIAL, with a reason, if the KDC gives none.
 */
gss_cred_id_t delegate_to_host(krb5_context context, krb5_keytab keytab, krb5_principal client, struct request *request);

/*
 * Gets the user's tickets for the targets that have none yet. The target's error says
 * why it has none.
 */
void delegate_to_targets(krb5_context context, krb5_keytab keytab, krb5_principal client, gss_cred_id_t credential,
                         struct request *request);

/* --- advice.c ------------------------------------------------------------ */

/* Says what an administrator can do about an error of the KDC; never NULL. */
const char *advice_for_host(krb5_error_code code);
const char *advice_for_user(krb5_error_code code);
const char *advice_for_target(krb5_error_code code);

/* --- file.c -------------------------------------------------------------- */

/* Becomes the user, irrevocably. Returns false, after a report, if that fails. */
bool become(uid_t uid, gid_t gid);

/*
 * Changes to the user's runtime directory. Returns false, after a report, if it
 * belongs to another user, or if it has to exist and does not.
 */
bool enter_runtime_directory(uid_t uid, bool has_to_be);

/* Removes the file from the current directory. Returns false, after a report, if that fails. */
bool file_remove(const char *name);

/* Writes the tickets of a cache into a new file in the current directory. */
bool file_write(krb5_context context, krb5_ccache from, const char *name);

#endif
