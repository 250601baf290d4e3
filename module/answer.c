/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "answer.h"

#include <security/_pam_types.h>
#include <string.h>

_Static_assert(sizeof(struct answer) == 1024, "the Go side writes this layout");

/* Whether a string ends within size bytes and has no control characters: it goes to syslog and into PAM_USER. */
static bool text_valid(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);

    if (end == NULL)
        return false;
    for (; text < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

/* Whether a result is one of those of pam_cockpit_cert(8); their table is in internal/login/result.go. */
static bool result_valid(uint32_t result)
{
    switch (result) {
    case PAM_SUCCESS:
    case PAM_USER_UNKNOWN:
    case PAM_IGNORE:
    case PAM_AUTHINFO_UNAVAIL:
    case PAM_SERVICE_ERR:
        return true;
    default:
        return false;
    }
}

bool answer_valid(const struct answer *a)
{
    bool has_user;

    if (memcmp(a->magic, ANSWER_MAGIC, sizeof a->magic) != 0 || a->priority > 7 ||
        !text_valid(a->user, ANSWER_USER_MAX + 1) || !text_valid(a->text, sizeof a->text))
        return false;
    has_user = a->user[0] != '\0';
    switch (a->kind) {
    case ANSWER_LOG:
    case ANSWER_ASKING:
        return a->result == 0 && !has_user && a->text[0] != '\0';
    case ANSWER_VERDICT:
        return result_valid(a->result) && has_user == (a->result == PAM_SUCCESS);
    default:
        return false;
    }
}
