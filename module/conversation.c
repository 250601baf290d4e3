/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "conversation.h"

#include <security/pam_ext.h>
#include <stdlib.h>

bool conversation_is_relayed(pam_handle_t *pamh)
{
    const void *user = NULL;

    return pam_get_item(pamh, PAM_USER, &user) == PAM_SUCCESS && user != NULL && *(const char *)user == '\0';
}

static void ask(pam_handle_t *pamh, int style)
{
    char *answer = NULL;

    /* The answer does not matter, nor whether the host gives one. */
    (void)pam_prompt(pamh, style, &answer, "%s", "");
    free(answer);
}

/* cockpit-session gives its password to the first prompt without echo (pam_conv_func). */
void conversation_take_password(pam_handle_t *pamh)
{
    ask(pamh, PAM_PROMPT_ECHO_OFF);
}

void conversation_end(pam_handle_t *pamh)
{
    ask(pamh, PAM_PROMPT_ECHO_ON);
}
