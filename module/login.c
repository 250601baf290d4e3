/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "login.h"

#include <security/pam_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* The name of this module's data in the PAM handle. */
#define LOGIN_DATA "pam_cockpit_cert_login"

/*
 * Removes the tickets when the host ends the PAM handle, if it has not done so
 * before. A child that the host forked ends its copy of the handle with
 * PAM_DATA_SILENT; the session goes on, and keeps its tickets.
 */
static void end(pam_handle_t *pamh, void *data, int status)
{
    struct login *login = data;

    if (login != NULL && (status & PAM_DATA_SILENT) == 0)
        ticket_remove(pamh, &login->ticket);
    free(login);
}

int login_remember(pam_handle_t *pamh, uid_t uid)
{
    struct login *login = calloc(1, sizeof *login);
    int result;

    if (login == NULL)
        return PAM_BUF_ERR;
    login->uid = uid;
    result = pam_set_data(pamh, LOGIN_DATA, login, end);
    if (result != PAM_SUCCESS)
        free(login);
    return result;
}

struct login *login_of(pam_handle_t *pamh)
{
    const void *data = NULL;

    return pam_get_data(pamh, LOGIN_DATA, &data) == PAM_SUCCESS ? (struct login *)data : NULL;
}

void login_forget(pam_handle_t *pamh)
{
    if (login_of(pamh) != NULL)
        pam_set_data(pamh, LOGIN_DATA, NULL, NULL);
}

void login_tickets(pam_handle_t *pamh, struct login *login, const struct options *options)
{
    const void *user = NULL;
    const char *directory = pam_getenv(pamh, "XDG_RUNTIME_DIR");
    char expected[64];

    if (options->no_ticket || pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == NULL)
        return;
    /* Only there does systemd remove the user's files with the last session. */
    snprintf(expected, sizeof expected, "/run/user/%lu", (unsigned long)login->uid);
    if (directory == NULL || strcmp(directory, expected) != 0) {
        if (options->debug)
            pam_syslog(pamh, LOG_DEBUG, "no Kerberos ticket: XDG_RUNTIME_DIR is not %s; is pam_systemd in the session stack?",
                       expected);
        return;
    }
    ticket_make(pamh, options, user, login->uid, &login->ticket);
}
