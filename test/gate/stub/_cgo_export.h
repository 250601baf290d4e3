/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* Stands in for cgo's file, so that the gate can be built without Go. */

#include <stdbool.h>

void cockpitCertWorker(int holder, int timeout, bool debug, bool allow_unvalidated);
