// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

cockpit.locale({
    "": {
        "plural-forms": n => n !== 1,
        "language": "de",
        "language-direction": "ltr"
    },
    "Certificate login": [null, "Anmeldung mit Zertifikat"]
});
