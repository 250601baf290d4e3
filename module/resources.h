/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The login process's resource limits, getrlimit(2), which the worker inherits. */

#ifndef PAM_COCKPIT_CERT_RESOURCES_H
#define PAM_COCKPIT_CERT_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>

/* Raises this process's own limits to what Go needs, as far as it may. */
void limits_lift(void);

/*
 * Says which limit of this process is too low for a worker, and what to do.
 * output is what a worker printed that broke. Returns false if none is.
 */
bool limits_explain(const char *output, char *text, size_t size);

#endif
