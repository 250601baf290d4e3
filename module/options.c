/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "options.h"

#include <errno.h>
#include <security/pam_ext.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const char timeout_key[] = "timeout=";

static unsigned timeout_parse(pam_handle_t *pamh, const char *value)
{
    char *end = NULL;
    unsigned long seconds;

    errno = 0;
    seconds = strtoul(value, &end, 10);
    if (errno == 0 && *value >= '0' && *value <= '9' && *end == '\0' && seconds >= 1 && seconds <= OPTIONS_TIMEOUT_MAX)
        return (unsigned)seconds;
    pam_syslog(pamh, LOG_ERR, "timeout=%s is not a number of seconds from 1 to %d: using %d; mend the rule in pam.d",
               value, OPTIONS_TIMEOUT_MAX, OPTIONS_TIMEOUT_DEFAULT);
    return OPTIONS_TIMEOUT_DEFAULT;
}

struct options options_parse(pam_handle_t *pamh, int argc, const char **argv)
{
    struct options options = {.timeout = OPTIONS_TIMEOUT_DEFAULT};

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "debug") == 0)
            options.debug = true;
        else if (strcmp(argv[i], "allow_unvalidated") == 0)
            options.allow_unvalidated = true;
        else if (strncmp(argv[i], timeout_key, strlen(timeout_key)) == 0)
            options.timeout = timeout_parse(pamh, argv[i] + strlen(timeout_key));
        else
            pam_syslog(pamh, LOG_ERR, "unknown option %s ignored; see pam_cockpit_cert(8)", argv[i]);
    }
    return options;
}
