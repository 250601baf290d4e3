/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * The worker's answer to the gate: fixed-size records on a pipe, any number of
 * log lines and then one verdict. The gate treats the worker as hostile: it
 * uses a record only after answer_valid() has accepted it.
 */

#ifndef PAM_COCKPIT_CERT_ANSWER_H
#define PAM_COCKPIT_CERT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#define ANSWER_MAGIC "pCC1"

/* Longest user name in bytes: glibc's LOGIN_NAME_MAX. */
#define ANSWER_USER_MAX 256

enum answer_kind {
    ANSWER_LOG = 1,     /* a line for syslog */
    ANSWER_ASKING = 2,  /* from here on the worker waits for SSSD; the text names the certificate */
    ANSWER_VERDICT = 3, /* the last record */
};

/*
 * Below PIPE_BUF, so that a record is written whole or not at all. Numbers are
 * in host order; text is NUL-terminated and printable.
 */
struct answer {
    char magic[4];
    uint32_t kind;
    uint32_t priority;              /* syslog(3)'s level of the text */
    uint32_t result;                /* of a verdict: PAM's code, one of the five of pam_cockpit_cert(8) */
    uint32_t uid;                   /* SSSD's uid of the user */
    char user[ANSWER_USER_MAX + 8]; /* set if and only if the verdict is success */
    char text[740];                 /* to be logged; may be empty in a verdict */
};

/* Whether every field of a record is in its range and every string ends. */
bool answer_valid(const struct answer *a);

#endif
