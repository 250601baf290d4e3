/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "ticket.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static bool component_is(krb5_const_principal principal, int i, const char *text)
{
    const krb5_data *data = &principal->data[i];

    return data->length == strlen(text) && memcmp(data->data, text, data->length) == 0;
}

/* Whether the name is a computer account of Active Directory, such as HOST1$: there host/FQDN cannot be a client. */
static bool is_computer(krb5_const_principal principal)
{
    return principal->length == 1 && principal->data[0].length > 1 &&
           principal->data[0].data[principal->data[0].length - 1] == '$';
}

static bool is_host(krb5_const_principal principal)
{
    return principal->length == 2 && component_is(principal, 0, "host");
}

/* Whether the name is host/FQDN: a full name has a dot. */
static bool is_full(krb5_const_principal principal)
{
    return memchr(principal->data[1].data, '.', principal->data[1].length) != NULL;
}

/* Returns how suitable a name is as client: the higher the better. */
static int rank(krb5_const_principal principal)
{
    if (is_computer(principal))
        return 4;
    if (is_host(principal))
        return is_full(principal) ? 3 : 2;
    return principal->length == 2 && component_is(principal, 0, "HTTP") ? 1 : 0;
}

/*
 * Whether the name is that of this machine; a keytab may also have keys of the name
 * that it had before, or of the machine from which it was copied.
 */
static bool is_own(krb5_const_principal principal)
{
    char own[256] = "";
    bool computer = is_computer(principal);
    const krb5_data *name = &principal->data[computer ? 0 : 1];
    size_t length, own_length;
    const char *dot;

    if (gethostname(own, sizeof own - 1) != 0)
        return false;
    dot = computer ? NULL : memchr(name->data, '.', name->length);
    length = dot != NULL ? (size_t)(dot - name->data) : name->length - (computer ? 1 : 0);
    own_length = strcspn(own, ".");
    if (computer && own_length > 15) /* Active Directory's limit */
        own_length = 15;
    return length == own_length && strncasecmp(name->data, own, length) == 0;
}

/* Whether a is to be tried before b. */
static bool is_better(krb5_const_principal a, krb5_const_principal b)
{
    return rank(a) != rank(b) ? rank(a) > rank(b) : is_own(a) && !is_own(b);
}

/*
 * Adds a name to the list, which has the most suitable names of each realm. Where the
 * computer's account is a client, the domain has no client host/FQDN.
 */
static size_t add_client(krb5_context context, krb5_principal clients[CLIENTS_MAX], size_t count,
                         krb5_const_principal name)
{
    size_t at, kept = 0;
    krb5_principal copy;

    if (rank(name) == 0)
        return count;
    for (size_t i = 0; i < count; i++)
        if (krb5_principal_compare(context, clients[i], name) ||
            (krb5_realm_compare(context, clients[i], name) && rank(clients[i]) > rank(name)))
            return count;
    if (krb5_copy_principal(context, name, &copy) != 0)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (krb5_realm_compare(context, clients[i], name) && rank(clients[i]) < rank(name))
            krb5_free_principal(context, clients[i]);
        else
            clients[kept++] = clients[i];
    }
    count = kept;
    if (count == CLIENTS_MAX) {
        if (!is_better(copy, clients[count - 1])) {
            krb5_free_principal(context, copy);
            return count;
        }
        krb5_free_principal(context, clients[--count]);
    }
    for (at = count; at > 0 && is_better(copy, clients[at - 1]); at--)
        clients[at] = clients[at - 1];
    clients[at] = copy;
    return count + 1;
}

size_t keytab_clients(krb5_context context, krb5_keytab keytab, krb5_principal clients[CLIENTS_MAX])
{
    char name[256] = "the keytab";
    size_t count = 0;
    krb5_keytab_entry entry;
    krb5_kt_cursor cursor;
    krb5_error_code code;

    (void)krb5_kt_get_name(context, keytab, name, sizeof name);
    code = krb5_kt_start_seq_get(context, keytab, &cursor);
    if (code == ENOENT || code == KRB5_KT_NOTFOUND) {
        report(LOG_DEBUG, "no Kerberos ticket: there is no %s", name);
        return 0;
    }
    while (code == 0 && (code = krb5_kt_next_entry(context, keytab, &entry, &cursor)) == 0) {
        count = add_client(context, clients, count, entry.principal);
        krb5_free_keytab_entry_contents(context, &entry);
    }
    if (code == KRB5_KT_END) {
        krb5_kt_end_seq_get(context, keytab, &cursor);
        if (count == 0)
            reason_keep(LOG_WARNING, "%s has no key of this host; join the domain again", name);
    } else {
        const char *text = krb5_get_error_message(context, code);
        reason_keep(LOG_WARNING, "cannot read %s: %s; see klist -k", name, text);
        krb5_free_error_message(context, text);
        while (count > 0)
            krb5_free_principal(context, clients[--count]);
    }
    return count;
}

/* Finds the key with which the ticket is encrypted, by its version and type. */
static bool find_key(krb5_context context, krb5_keytab keytab, const krb5_creds *ticket, krb5_keytab_entry *found)
{
    krb5_ticket *decoded = NULL;
    krb5_error_code code;

    if (krb5_decode_ticket(&ticket->ticket, &decoded) != 0)
        return false;
    code = krb5_kt_get_entry(context, keytab, ticket->server, decoded->enc_part.kvno, decoded->enc_part.enctype, found);
    krb5_free_ticket(context, decoded);
    return code == 0;
}

static bool same_key(const krb5_keytab_entry *a, const krb5_keytab_entry *b)
{
    return a->vno == b->vno && a->key.enctype == b->key.enctype && a->key.length == b->key.length &&
           memcmp(a->key.contents, b->key.contents, a->key.length) == 0;
}

/*
 * In Active Directory all names of a host belong to one account with one key, and
 * the KDC's ticket is for HOST1$. pam_sss_gss and ssh look for a ticket for
 * host/FQDN; the service that accepts the ticket only checks the key.
 */
size_t keytab_store_as_host(krb5_context context, krb5_keytab keytab, krb5_creds *ticket, krb5_ccache out)
{
    size_t stored = 0;
    krb5_creds renamed = *ticket;
    krb5_keytab_entry key, entry;
    krb5_kt_cursor cursor;

    if (!find_key(context, keytab, ticket, &key))
        return 0;
    if (krb5_kt_start_seq_get(context, keytab, &cursor) == 0) {
        while (krb5_kt_next_entry(context, keytab, &entry, &cursor) == 0) {
            if (is_host(entry.principal) && krb5_realm_compare(context, entry.principal, ticket->server) &&
                same_key(&entry, &key)) {
                renamed.server = entry.principal;
                if (krb5_cc_store_cred(context, out, &renamed) == 0)
                    stored++;
            }
            krb5_free_keytab_entry_contents(context, &entry);
        }
        krb5_kt_end_seq_get(context, keytab, &cursor);
    }
    krb5_free_keytab_entry_contents(context, &key);
    return stored;
}
