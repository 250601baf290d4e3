/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "ticket.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

/* Below PIPE_BUF, so that a line is written whole or not at all. */
#define LINE_MAX_LENGTH 600

struct reason {
    int priority;
    char text[LINE_MAX_LENGTH];
};

#define NO_REASON (LOG_DEBUG + 1)

/* The reason to report, and what it was at the mark: none yet. */
static struct reason kept = {.priority = NO_REASON}, marked = {.priority = NO_REASON};

/* Writes a line: the priority's digit, a blank, and the text without control characters. */
void report(int priority, const char *format, ...)
{
    char line[LINE_MAX_LENGTH];
    int start = snprintf(line, sizeof line, "%d ", priority & 7), length;
    va_list arguments;

    va_start(arguments, format);
    length = vsnprintf(line + start, sizeof line - (size_t)start - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    length += start;
    if ((size_t)length > sizeof line - 2)
        length = sizeof line - 2;
    for (int i = 0; i < length; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    (void)!write(STDOUT_FILENO, line, (size_t)length);
}

void reason_keep(int priority, const char *format, ...)
{
    va_list arguments;

    if (priority >= kept.priority)
        return;
    va_start(arguments, format);
    (void)vsnprintf(kept.text, sizeof kept.text, format, arguments);
    va_end(arguments);
    kept.priority = priority;
}

void reason_mark(void) { marked = kept; }

void reason_forget(void) { kept = marked; }

void reason_report(int at_least)
{
    if (kept.priority <= at_least)
        report(kept.priority, "no Kerberos ticket: %s", kept.text);
}

void report_written(void) { (void)!write(STDOUT_FILENO, "written\n", 8); }
