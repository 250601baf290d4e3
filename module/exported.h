/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* The directory below which cockpit-tls exports the certificates that it validated. */

#ifndef PAM_COCKPIT_CERT_EXPORTED_H
#define PAM_COCKPIT_CERT_EXPORTED_H

#ifndef EXPORTED /* the tests use another directory */
#define EXPORTED "/run/cockpit/tls"
#endif

#endif
