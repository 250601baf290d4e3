/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The login process's resource limits, getrlimit(2), which the worker inherits. */

#ifndef PAM_COCKPIT_CERT_RESOURCES_H
#define PAM_COCKPIT_CERT_RESOURCES_H

#include <stdbool.h>
#include <stddef.h>

/* Raises this process's limits to those that Go needs, up to the hard limits. */
void limits_lift(void);

/*
 * Says which limit of this process is too low for a worker, and what to do.
 * output is the output of the worker that broke. Returns false if no limit is
 * too low.
 */
bool limits_explain(const char *output, char *text, size_t size);

#endif
