/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "ticket.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

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

krb5_principal keytab_client(krb5_context context, krb5_keytab keytab)
{
    char name[256] = "the keytab";
    int best = 0;
    krb5_principal client = NULL;
    krb5_keytab_entry entry;
    krb5_kt_cursor cursor;
    krb5_error_code code;

    (void)krb5_kt_get_name(context, keytab, name, sizeof name);
    code = krb5_kt_start_seq_get(context, keytab, &cursor);
    if (code == ENOENT || code == KRB5_KT_NOTFOUND) {
        report(LOG_DEBUG, "no Kerberos ticket: there is no %s", name);
        return NULL;
    }
    while (code == 0 && (code = krb5_kt_next_entry(context, keytab, &entry, &cursor)) == 0) {
        if (rank(entry.principal) > best) {
            krb5_principal copy;
            if (krb5_copy_principal(context, entry.principal, &copy) == 0) {
                best = rank(entry.principal);
                krb5_free_principal(context, client);
                client = copy;
            }
        }
        krb5_free_keytab_entry_contents(context, &entry);
    }
    if (code == KRB5_KT_END) {
        krb5_kt_end_seq_get(context, keytab, &cursor);
        if (client == NULL)
            report(LOG_WARNING, "no Kerberos ticket: %s has no key of this host; join the domain again", name);
    } else {
        const char *text = krb5_get_error_message(context, code);
        report(LOG_WARNING, "no Kerberos ticket: cannot read %s: %s; see klist -k", name, text);
        krb5_free_error_message(context, text);
        krb5_free_principal(context, client);
        client = NULL;
    }
    return client;
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
