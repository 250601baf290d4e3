/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * pretend FROM TO: an attempt of a user to get more tickets from those of a
 * session. It copies a credential cache, and adds each ticket once more under the
 * name of a ticket-granting ticket. The KDC has to reject that.
 */

#include <krb5/krb5.h>
#include <stdio.h>

static krb5_context context;

static void must(krb5_error_code code, const char *what)
{
    if (code != 0) {
        fprintf(stderr, "pretend: %s: %s\n", what, krb5_get_error_message(context, code));
        _Exit(2);
    }
}

int main(int argc, char **argv)
{
    krb5_ccache from, to;
    krb5_principal client, granting;
    krb5_cc_cursor cursor;
    krb5_creds creds;

    if (argc != 3)
        return 2;
    must(krb5_init_context(&context), "context");
    must(krb5_cc_resolve(context, argv[1], &from), argv[1]);
    must(krb5_cc_get_principal(context, from, &client), argv[1]);
    must(krb5_build_principal(context, &granting, client->realm.length, client->realm.data, "krbtgt", client->realm.data, NULL),
         "principal");
    must(krb5_cc_resolve(context, argv[2], &to), argv[2]);
    must(krb5_cc_initialize(context, to, client), argv[2]);
    must(krb5_cc_start_seq_get(context, from, &cursor), argv[1]);
    while (krb5_cc_next_cred(context, from, &cursor, &creds) == 0) {
        must(krb5_cc_store_cred(context, to, &creds), argv[2]);
        creds.server = granting;
        must(krb5_cc_store_cred(context, to, &creds), argv[2]);
    }
    return 0;
}
