/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/*
 * verdict DIRECTORY: what the real libpam says about the service files there,
 * whose names come from standard input, a line each.
 *
 * One line for each service: its name, whatever libpam logs at LOG_ERR or worse
 * while it reads the file, and pam_start's return value, each after a tab.
 */

#define _GNU_SOURCE
#include <security/pam_appl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static void report(int priority, const char *format, va_list arguments)
{
    char line[4096];

    if (LOG_PRI(priority) > LOG_ERR)
        return;
    vsnprintf(line, sizeof(line), format, arguments);
    for (char *p = line; *p; p++)
        if (*p == '\n' || *p == '\t')
            *p = '?';
    printf("\t%s", line);
}

/* libpam finds these before libc's. */
void syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    report(priority, format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;

    (void)flag;
    va_start(arguments, format);
    report(priority, format, arguments);
    va_end(arguments);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    (void)count;
    (void)messages;
    (void)responses;
    (void)data;
    return PAM_CONV_ERR;
}

int main(int argc, char **argv)
{
    const struct pam_conv conversation = {converse, NULL};

    char service[256];

    if (argc != 2)
        return 1;
    while (fgets(service, sizeof service, stdin) != NULL) {
        pam_handle_t *pamh = NULL;
        int result;

        service[strcspn(service, "\n")] = '\0';
        printf("%s", service);
        result = pam_start_confdir(service, "nobody", &conversation, argv[1], &pamh);
        if (result == PAM_SUCCESS)
            pam_end(pamh, result);
        printf("\t%d\n", result);
        fflush(stdout);
    }
    return 0;
}
