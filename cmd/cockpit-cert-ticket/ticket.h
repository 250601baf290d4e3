/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The parts of cockpit-cert-ticket, which main.c calls one after the other. */

#ifndef COCKPIT_CERT_TICKET_H
#define COCKPIT_CERT_TICKET_H

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
    char error[200]; /* why the user gets none */
};

struct person {
    const char *name; /* PAM's user name */
    uid_t uid;
    gid_t gid;
};

/* --- report.c ------------------------------------------------------------ */

/* Reports a line to the PAM module, for its log. */
void report(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reports to the PAM module that the file has been written. */
void report_written(void);

/* --- keytab.c ------------------------------------------------------------ */

/*
 * Finds the name under which this host is a client of the KDC. Returns NULL without
 * a keytab; also, after a report, if the keytab has no key of this host.
 */
krb5_principal keytab_client(krb5_context context, krb5_keytab keytab);

/*
 * Stores the ticket under each name host/FQDN for which the keytab has the key with
 * which the ticket is encrypted. Returns the number of these names.
 */
size_t keytab_store_as_host(krb5_context context, krb5_keytab keytab, krb5_creds *ticket, krb5_ccache out);

/* --- person.c ------------------------------------------------------------ */

/* Reads the account. Returns false, after a report, if it has another uid or does not exist. */
bool person_read(struct person *person);

/* Makes the user's principal in this realm. Returns NULL, after a report, if SSSD maps it to no or another user. */
krb5_principal person_principal(krb5_context context, const struct person *person, const char *realm);

/* Whether a principal is this user. */
bool person_is(const struct person *person, krb5_const_principal principal);

/* --- delegate.c ---------------------------------------------------------- */

/*
 * Collects the user's tickets that this host can get: one for the host itself, and
 * one for each target without a ticket. Returns how many there are, or 0 after a
 * report. The target's error says why it has no ticket.
 */
size_t delegate(krb5_context context, krb5_keytab keytab, krb5_principal client, const struct person *person,
                struct target *targets, size_t targets_count, krb5_ccache out);

/* --- advice.c ------------------------------------------------------------ */

/* Says what an administrator can do about an error of the KDC; never NULL. */
const char *advice_for_host(krb5_error_code code);
const char *advice_for_user(krb5_error_code code);

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
