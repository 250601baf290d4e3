module pam_cockpit_cert

go 1.24
