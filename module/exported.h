/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

/* cockpit-tls exports the certificates that it validated below this directory. */

#ifndef PAM_COCKPIT_CERT_EXPORTED_H
#define PAM_COCKPIT_CERT_EXPORTED_H

#ifndef EXPORTED /* the tests have their own */
#define EXPORTED "/run/cockpit/tls"
#endif

#endif
