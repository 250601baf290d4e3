/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#include "resources.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define MIB (1ull << 20)

/* The limits that Go needs, with a margin. It reserves most of its address space without ever using it. */
static const struct {
    int resource;
    unsigned long long enough, unit;
    const char *of, *setting;
} limits[] = {
    {RLIMIT_AS, 2048 * MIB, MIB, "MiB of address space", "LimitAS= of its unit, as in limits.conf(5)"},
    {RLIMIT_DATA, 1024 * MIB, MIB, "MiB of data", "LimitDATA= of its unit, data in limits.conf(5)"},
    {RLIMIT_NOFILE, 64, 1, "open files", "LimitNOFILE= of its unit, nofile in limits.conf(5)"},
    {RLIMIT_NPROC, 64, 1, "processes of its user", "LimitNPROC= of its unit, nproc in limits.conf(5)"},
};

static bool too_low(rlim_t limit, unsigned long long enough) { return limit != RLIM_INFINITY && limit < enough; }

void limits_lift(void)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit, raised;

        if (getrlimit(limits[i].resource, &limit) != 0 || !too_low(limit.rlim_cur, limits[i].enough))
            continue;
        raised = (struct rlimit){(rlim_t)limits[i].enough, limit.rlim_max};
        if (too_low(limit.rlim_max, limits[i].enough))
            raised.rlim_max = raised.rlim_cur;
        if (setrlimit(limits[i].resource, &raised) == 0)
            continue;
        limit.rlim_cur = limit.rlim_max; /* only root may raise the hard limit */
        (void)setrlimit(limits[i].resource, &limit);
    }
}

bool limits_explain(const char *output, char *text, size_t size)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;

        if (getrlimit(limits[i].resource, &limit) == 0 && too_low(limit.rlim_max, limits[i].enough)) {
            snprintf(text, size, "the login process may have no more than %llu %s: allow %llu by %s",
                     (unsigned long long)limit.rlim_max / limits[i].unit, limits[i].of, limits[i].enough / limits[i].unit,
                     limits[i].setting);
            return true;
        }
    }
    /* Each user and each control group has a limit of processes: no number tells which was reached. */
    if (strstr(output, "Resource temporarily unavailable") != NULL || strstr(output, "failed to create new OS thread") != NULL) {
        snprintf(text, size, "too many processes: raise LimitNPROC= or TasksMax= of the login process's unit");
        return true;
    }
    return false;
}
