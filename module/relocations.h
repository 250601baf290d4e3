/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: The pam_cockpit_cert authors */

#ifndef PAM_COCKPIT_CERT_RELOCATIONS_H
#define PAM_COCKPIT_CERT_RELOCATIONS_H

/*
 * Gives the pages of this module that only the dynamic loader reads back to the
 * kernel, because a login process lives as long as its session.
 */
void relocations_forget(void);

#endif
