/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "ticket.h"

#include <errno.h>

const char *advice_for_host(krb5_error_code code)
{
    switch (code) {
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_CANT_RESOLVE:
    case KRB5_REALM_UNKNOWN:
    case ETIMEDOUT:
        return "can this host reach a domain controller? see sssctl domain-status";
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
    case KRB5_KT_NOTFOUND:
    case KRB5_KT_KVNONOTFOUND:
        return "the keytab is older than the key in the domain; join the domain again";
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
    case KRB5KDC_ERR_CLIENT_REVOKED:
    case KRB5KDC_ERR_NAME_EXP:
    case KRB5KDC_ERR_KEY_EXP:
        return "the domain does not let this host in; join the domain again";
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5_KDCREP_SKEW:
        return "set this host's clock, see timedatectl";
    case KRB5_CONFIG_ETYPE_NOSUPP:
    case KRB5KDC_ERR_ETYPE_NOSUPP:
        return "does krb5.conf permit a type of the keytab's keys? see klist -ke";
    case KRB5KRB_AP_ERR_BADADDR:
        return "remove noaddresses from krb5.conf";
    case KRB5_DELTAT_BADFORMAT:
    case KRB5_CONFIG_BADFORMAT:
    case KRB5_CONFIG_CANTOPEN:
        return "correct krb5.conf";
    default:
        return "see the log of the domain controller";
    }
}

const char *advice_for_user(krb5_error_code code)
{
    switch (code) {
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN:
        return "the domain has no such user";
    case KRB5KDC_ERR_CLIENT_REVOKED:
        return "is the account disabled, expired or locked?";
    case KRB5KDC_ERR_NAME_EXP:
    case KRB5KDC_ERR_KEY_EXP:
        return "has the account or its password expired?";
    default:
        return advice_for_host(code);
    }
}

const char *advice_for_target(krb5_error_code code)
{
    switch (code) {
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_CANT_RESOLVE:
    case KRB5_REALM_UNKNOWN:
    case ETIMEDOUT:
        return advice_for_host(code);
    case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
        return "the domain has no such service; correct ticket_for in pam.d";
    default:
        return "does the domain let this host delegate to it?";
    }
}
