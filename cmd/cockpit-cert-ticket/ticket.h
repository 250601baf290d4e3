/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The parts of cockpit-cert-ticket; main.c has the order in which they work. */

#ifndef COCKPIT_CERT_TICKET_H
#define COCKPIT_CERT_TICKET_H

#include <krb5/krb5.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The most services that a rule in pam.d can name. */
#define TARGETS_MAX 16

/* A service that the user shall have a ticket for, service@host. */
struct target {
    const char *name;
    bool served;
    char error[200]; /* why it is not */
};

struct person {
    const char *name; /* as PAM has it */
    uid_t uid;
    gid_t gid;
};

/* --- report.c ------------------------------------------------------------ */

/* Tells the PAM module a line for its log. */
void report(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells the PAM module that the file has been written. */
void report_written(void);

/* --- keytab.c ------------------------------------------------------------ */

/*
 * Finds the name under which the keytab's owner, this host, is a client of the
 * KDC. Returns NULL where there is no keytab, or, reported, none of use.
 */
krb5_principal keytab_client(krb5_context context, krb5_keytab keytab);

/*
 * Stores the ticket under each name host/FQDN that the keytab has with the key
 * that the ticket is encrypted with. Returns how many these are.
 */
size_t keytab_store_as_host(krb5_context context, krb5_keytab keytab, krb5_creds *ticket, krb5_ccache out);

/* --- person.c ------------------------------------------------------------ */

/* Reads the account. Returns false, reported, if it has another uid, or none. */
bool person_read(struct person *person);

/* Makes the person's principal in this realm; NULL, reported, if it is nobody's or another person's. */
krb5_principal person_principal(krb5_context context, const struct person *person, const char *realm);

/* Tells whether a principal is the person. */
bool person_is(const struct person *person, krb5_const_principal principal);

/* --- delegate.c ---------------------------------------------------------- */

/*
 * Collects the user's tickets that the keytab's owner can get: one for the host
 * itself, and one for each target that is not served yet. Returns how many there
 * are, or 0, reported. Why a target is not served it tells there.
 */
size_t delegate(krb5_context context, krb5_keytab keytab, krb5_principal client, const struct person *person,
                struct target *targets, size_t targets_count, krb5_ccache out);

/* --- advice.c ------------------------------------------------------------ */

/* Says what an administrator can do about an error of the KDC; never NULL. */
const char *advice_for_host(krb5_error_code code);
const char *advice_for_user(krb5_error_code code);

/* --- file.c -------------------------------------------------------------- */

/* Becomes the user, for good. Returns false, reported, if that fails. */
bool become(uid_t uid, gid_t gid);

/*
 * Goes into the user's runtime directory. Returns false, reported, if it is
 * another's, or if it is not there and has to be.
 */
bool enter_runtime_directory(uid_t uid, bool has_to_be);

/* Removes the file from the current directory. Returns false, reported, if it stays. */
bool file_remove(const char *name);

/* Writes the tickets of a cache into a new file in the current directory. */
bool file_write(krb5_context context, krb5_ccache from, const char *name);

#endif
