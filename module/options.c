/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "options.h"

#include <errno.h>
#include <security/pam_ext.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const char timeout_key[] = "timeout=", ticket_key[] = "ticket_for=";

static void __attribute__((format(printf, 2, 3))) complain(pam_handle_t *pamh, const char *format, ...)
{
    va_list arguments;

    if (pamh == NULL)
        return;
    va_start(arguments, format);
    pam_vsyslog(pamh, LOG_ERR, format, arguments);
    va_end(arguments);
}

static unsigned timeout_parse(pam_handle_t *pamh, const char *value)
{
    char *end = NULL;
    unsigned long seconds;

    errno = 0;
    seconds = strtoul(value, &end, 10);
    if (errno == 0 && *value >= '0' && *value <= '9' && *end == '\0' && seconds >= 1 && seconds <= OPTIONS_TIMEOUT_MAX)
        return (unsigned)seconds;
    complain(pamh, "timeout=%s is not a number of seconds from 1 to %d: using %d; fix the rule in pam.d",
             value, OPTIONS_TIMEOUT_MAX, OPTIONS_TIMEOUT_DEFAULT);
    return OPTIONS_TIMEOUT_DEFAULT;
}

/* Whether the value is service@host with the characters of such names: neither a path nor an option. */
static bool is_service(const char *value)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t service = strspn(value, characters), host;

    if (service == 0 || *value == '-' || value[service] != '@')
        return false;
    host = strspn(value + service + 1, characters);
    return host > 0 && value[service + 1 + host] == '\0' && service + 1 + host <= 250;
}

/* Whether this is the service of ticket-granting tickets: with one the user could act as the user anywhere. */
static bool is_granting(const char *value) { return strncasecmp(value, "krbtgt@", strlen("krbtgt@")) == 0; }

static bool has_service(const struct options *options, const char *value)
{
    for (unsigned i = 0; i < options->ticket_for_count; i++)
        if (strcasecmp(options->ticket_for[i], value) == 0)
            return true;
    return false;
}

static void ticket_parse(pam_handle_t *pamh, const char *value, struct options *options)
{
    if (!is_service(value))
        complain(pamh, "ticket_for=%s is not like host@other.example.com: ignored; correct the rule in pam.d",
                 value);
    else if (is_granting(value))
        complain(pamh, "ticket_for=%s ignored: users get no ticket-granting tickets; correct the rule in pam.d",
                 value);
    else if (has_service(options, value))
        return;
    else if (options->ticket_for_count == OPTIONS_TICKET_FOR_MAX)
        complain(pamh, "ticket_for=%s ignored: no more than %d are possible; correct the rule in pam.d", value,
                 OPTIONS_TICKET_FOR_MAX);
    else
        options->ticket_for[options->ticket_for_count++] = value;
}

struct options options_parse(pam_handle_t *pamh, int argc, const char **argv)
{
    struct options options = {.timeout = OPTIONS_TIMEOUT_DEFAULT};

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "debug") == 0)
            options.debug = true;
        else if (strcmp(argv[i], "allow_unvalidated") == 0)
            options.allow_unvalidated = true;
        else if (strcmp(argv[i], "no_ticket") == 0)
            options.no_ticket = true;
        else if (strcmp(argv[i], "accepted") == 0)
            options.accepted = true;
        else if (strcmp(argv[i], "refused") == 0)
            options.accepted = options.refused = true;
        else if (strncmp(argv[i], ticket_key, strlen(ticket_key)) == 0)
            ticket_parse(pamh, argv[i] + strlen(ticket_key), &options);
        else if (strncmp(argv[i], timeout_key, strlen(timeout_key)) == 0)
            options.timeout = timeout_parse(pamh, argv[i] + strlen(timeout_key));
        else
            complain(pamh, "unknown option %s ignored; see pam_cockpit_cert(8)", argv[i]);
    }
    return options;
}
