/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#define _GNU_SOURCE
#include "ticket.h"

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static gss_OID_set_desc kerberos = {1, NULL};

/* Returns the text of GSSAPI's minor error code, which is Kerberos'. */
static const char *text_of(OM_uint32 minor)
{
    static char text[200];
    OM_uint32 more = 0, ignored;
    gss_buffer_desc message = GSS_C_EMPTY_BUFFER;

    if (gss_display_status(&ignored, minor, GSS_C_MECH_CODE, gss_mech_krb5, &more, &message) != GSS_S_COMPLETE)
        return "unknown error";
    snprintf(text, sizeof text, "%.*s", (int)message.length, (const char *)message.value);
    gss_release_buffer(&ignored, &message);
    return text;
}

/* Gets the host's own ticket-granting ticket into a cache in memory. */
static krb5_ccache host_credentials(krb5_context context, krb5_keytab keytab, krb5_principal client)
{
    char *name = NULL;
    krb5_get_init_creds_opt *options = NULL;
    krb5_ccache cache = NULL;
    krb5_creds creds;
    krb5_error_code code = krb5_get_init_creds_opt_alloc(context, &options);

    memset(&creds, 0, sizeof creds);
    if (code == 0) {
        /* Independent of krb5.conf, because only forwardable tickets can be delegated. */
        krb5_get_init_creds_opt_set_forwardable(options, 1);
        krb5_get_init_creds_opt_set_proxiable(options, 0);
        code = krb5_get_init_creds_keytab(context, &creds, client, keytab, 0, NULL, options);
    }
    if (code == 0)
        code = krb5_cc_new_unique(context, "MEMORY", NULL, &cache);
    if (code == 0)
        code = krb5_cc_initialize(context, cache, client);
    if (code == 0)
        code = krb5_cc_store_cred(context, cache, &creds);
    if (code != 0) {
        const char *text = krb5_get_error_message(context, code);
        if (krb5_unparse_name(context, client, &name) != 0)
            name = NULL;
        reason_keep(LOG_WARNING, "the KDC gives %s none: %s: %s", name != NULL ? name : "this host", text,
                    advice_for_host(code));
        krb5_free_unparsed_name(context, name);
        krb5_free_error_message(context, text);
        if (cache != NULL)
            krb5_cc_destroy(context, cache);
        cache = NULL;
    }
    krb5_free_cred_contents(context, &creds);
    krb5_get_init_creds_opt_free(context, options);
    return cache;
}

/* Gets the credential with which the host can act for the user (S4U2Self). */
static gss_cred_id_t impersonate(krb5_context context, krb5_ccache host, krb5_principal user)
{
    char *cache = NULL, *name = NULL;
    OM_uint32 major = GSS_S_FAILURE, minor = 0, ignored;
    gss_key_value_element_desc element = {"ccache", NULL};
    gss_key_value_set_desc store = {1, &element};
    gss_cred_id_t own = GSS_C_NO_CREDENTIAL, result = GSS_C_NO_CREDENTIAL;
    gss_name_t imported = GSS_C_NO_NAME;
    gss_buffer_desc text;

    if (krb5_cc_get_full_name(context, host, &cache) == 0 && krb5_unparse_name(context, user, &name) == 0) {
        element.value = cache;
        text.value = name;
        text.length = strlen(name);
        /* Only this cache: root's own tickets must never be used. */
        major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &kerberos, GSS_C_INITIATE, &store, &own,
                                      NULL, NULL);
        if (major == GSS_S_COMPLETE)
            major = gss_import_name(&minor, &text, GSS_KRB5_NT_PRINCIPAL_NAME, &imported);
        if (major == GSS_S_COMPLETE)
            major = gss_acquire_cred_impersonate_name(&minor, own, imported, GSS_C_INDEFINITE, &kerberos, GSS_C_INITIATE,
                                                      &result, NULL, NULL);
    }
    if (major != GSS_S_COMPLETE)
        reason_keep(LOG_WARNING, "the KDC gives none for %s: %s: %s", name != NULL ? name : "the user", text_of(minor),
                    advice_for_user((krb5_error_code)minor));
    gss_release_name(&ignored, &imported);
    gss_release_cred(&ignored, &own);
    krb5_free_unparsed_name(context, name);
    krb5_free_string(context, cache);
    return result;
}

/* Gets the user's ticket for a service into the credential's cache (S4U2Proxy). */
static bool serve(gss_cred_id_t credential, const char *service, OM_uint32 *minor)
{
    OM_uint32 major, ignored;
    gss_name_t target = GSS_C_NO_NAME;
    gss_ctx_id_t session = GSS_C_NO_CONTEXT;
    gss_buffer_desc text = {strlen(service), (char *)service}, token = GSS_C_EMPTY_BUFFER;

    major = gss_import_name(minor, &text, GSS_C_NT_HOSTBASED_SERVICE, &target);
    if (major == GSS_S_COMPLETE)
        major = gss_init_sec_context(minor, credential, &session, target, gss_mech_krb5, 0, 0, GSS_C_NO_CHANNEL_BINDINGS,
                                     GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
    gss_release_buffer(&ignored, &token);
    if (session != GSS_C_NO_CONTEXT)
        gss_delete_sec_context(&ignored, &session, GSS_C_NO_BUFFER);
    gss_release_name(&ignored, &target);
    return major == GSS_S_COMPLETE || major == GSS_S_CONTINUE_NEEDED;
}

static bool is_krbtgt(krb5_const_principal server)
{
    static const char name[] = "krbtgt";

    return server->length == 0 ||
           /* Active Directory compares names without regard to case. */
           (server->data[0].length == sizeof name - 1 && strncasecmp(server->data[0].data, name, sizeof name - 1) == 0);
}

/* Which tickets of a cache are meant: those for this host, or those for other services. */
enum which { FOR_HOST, FOR_TARGETS };

/*
 * Copies the user's own tickets. The credential's cache also has the host's
 * ticket-granting ticket, with which the user could act as the host, and libkrb5's
 * entry with which a process can delegate further. Only tickets whose client is
 * the user, and which are not ticket-granting tickets, are copied.
 */
static size_t copy_own(krb5_context context, krb5_keytab keytab, krb5_ccache from, krb5_const_principal client,
                       krb5_const_principal user, enum which which, krb5_ccache out)
{
    size_t copied = 0;
    krb5_cc_cursor cursor;
    krb5_creds creds;

    if (krb5_cc_start_seq_get(context, from, &cursor) != 0)
        return 0;
    while (krb5_cc_next_cred(context, from, &cursor, &creds) == 0) {
        enum which its = krb5_principal_compare(context, creds.server, client) ? FOR_HOST : FOR_TARGETS;

        if (its == which && !krb5_is_config_principal(context, creds.server) && !is_krbtgt(creds.server) &&
            krb5_principal_compare(context, creds.client, user)) {
            size_t stored = its == FOR_HOST ? keytab_store_as_host(context, keytab, &creds, out) : 0;
            if (stored == 0 && krb5_cc_store_cred(context, out, &creds) == 0)
                stored = 1;
            copied += stored;
        }
        krb5_free_cred_contents(context, &creds);
    }
    krb5_cc_end_seq_get(context, from, &cursor);
    return copied;
}

/* Copies the user's tickets out of the credential's cache. */
static size_t collect(krb5_context context, krb5_keytab keytab, gss_cred_id_t credential, krb5_const_principal client,
                      enum which which, struct request *request)
{
    char *name = NULL;
    size_t copied = 0;
    OM_uint32 ignored;
    gss_key_value_element_desc element = {"ccache", NULL};
    gss_key_value_set_desc store = {1, &element};
    krb5_ccache all = NULL, out = request->tickets;
    krb5_principal user = NULL, before = NULL;

    if (krb5_cc_new_unique(context, "MEMORY", NULL, &all) == 0 && krb5_cc_get_full_name(context, all, &name) == 0) {
        element.value = name;
        if (gss_store_cred_into(&ignored, credential, GSS_C_INITIATE, gss_mech_krb5, 1, 1, &store, NULL, NULL) ==
                GSS_S_COMPLETE &&
            krb5_cc_get_principal(context, all, &user) == 0) {
            /* The KDC may spell the name in another way, which must be this user's as well. */
            if (krb5_cc_get_principal(context, out, &before) != 0
                    ? person_is(&request->person, user) && krb5_cc_initialize(context, out, user) == 0
                    : krb5_principal_compare(context, before, user))
                copied = copy_own(context, keytab, all, client, user, which, out);
            else
                reason_keep(LOG_ERR, "the KDC's ticket is not %s's", request->person.name);
        }
    }
    krb5_free_principal(context, before);
    krb5_free_principal(context, user);
    krb5_free_string(context, name);
    if (all != NULL)
        krb5_cc_destroy(context, all);
    return copied;
}

/* Whether the name service@host is a ticket's server. */
static bool is_for(krb5_const_principal server, const char *name)
{
    size_t service = strcspn(name, "@");
    const char *host = name[service] == '@' ? name + service + 1 : "";

    return server->length == 2 && server->data[0].length == service &&
           memcmp(server->data[0].data, name, service) == 0 && server->data[1].length == strlen(host) &&
           strncasecmp(server->data[1].data, host, strlen(host)) == 0;
}

/* Notes which targets need no delegation, such as this host itself. */
static void note_served(krb5_context context, struct request *request)
{
    krb5_cc_cursor cursor;
    krb5_creds creds;

    if (krb5_cc_start_seq_get(context, request->tickets, &cursor) != 0)
        return;
    while (krb5_cc_next_cred(context, request->tickets, &cursor, &creds) == 0) {
        for (size_t i = 0; i < request->targets_count; i++)
            if (is_for(creds.server, request->targets[i].name))
                request->targets[i].served = true;
        krb5_free_cred_contents(context, &creds);
    }
    krb5_cc_end_seq_get(context, request->tickets, &cursor);
}

gss_cred_id_t delegate_to_host(krb5_context context, krb5_keytab keytab, krb5_principal client, struct request *request)
{
    OM_uint32 ignored;
    gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
    krb5_principal user = person_principal(context, &request->person, krb5_princ_realm(context, client)->data);
    krb5_ccache host = user != NULL ? host_credentials(context, keytab, client) : NULL;

    kerberos.elements = gss_mech_krb5;
    if (host != NULL)
        credential = impersonate(context, host, user);
    if (credential != GSS_C_NO_CREDENTIAL && collect(context, keytab, credential, client, FOR_HOST, request) == 0)
        gss_release_cred(&ignored, &credential);
    if (host != NULL)
        krb5_cc_destroy(context, host);
    krb5_free_principal(context, user);
    note_served(context, request);
    return credential;
}

void delegate_to_targets(krb5_context context, krb5_keytab keytab, krb5_principal client, gss_cred_id_t credential,
                         struct request *request)
{
    OM_uint32 minor = 0;

    for (size_t i = 0; i < request->targets_count; i++) {
        struct target *target = &request->targets[i];

        if (target->served)
            continue;
        target->served = serve(credential, target->name, &minor);
        if (!target->served)
            snprintf(target->error, sizeof target->error, "%s: %s", text_of(minor), advice_for_target((krb5_error_code)minor));
    }
    (void)collect(context, keytab, credential, client, FOR_TARGETS, request);
}
