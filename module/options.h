/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The options of the rule in pam.d, see pam_cockpit_cert(8). */

#ifndef PAM_COCKPIT_CERT_OPTIONS_H
#define PAM_COCKPIT_CERT_OPTIONS_H

#include <security/pam_modules.h>
#include <stdbool.h>

#define OPTIONS_TIMEOUT_DEFAULT 15 /* more than the 10 s that SSSD may take to check a certificate */
#define OPTIONS_TIMEOUT_MAX 600
#define OPTIONS_TICKET_FOR_MAX 16

struct options {
    bool debug;
    bool allow_unvalidated;
    unsigned timeout; /* seconds */
    bool no_ticket;
    bool accepted; /* the rule asks whether an earlier one accepted the login */
    bool refused;  /* and another module has refused it since */
    unsigned ticket_for_count;
    const char *ticket_for[OPTIONS_TICKET_FOR_MAX]; /* service@host, pointers into argv */
};

/* Reads the options. It ignores those that it does not know, and logs them, unless the handle is NULL. */
struct options options_parse(pam_handle_t *pamh, int argc, const char **argv);

#endif
