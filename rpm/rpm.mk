# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# What builds the package, on Debian; debugedit takes the debugging information
# out, and the last two make the policy module. A distribution of RPM's own has
# what the spec asks for by `dnf builddep`.
APT_RPM := rpm debugedit elfutils checkpolicy semodule-utils
# What looks at it, and installs it.
APT_SYSTEMS += $(APT_RPM) rpmlint createrepo-c dnf

# Options of rpmbuild, such as --with subfolder or --nocheck.
RPMFLAGS ?=

## rpm: the RPM package and its source package, into build/packages
.PHONY: rpm
rpm:
	! command -v dpkg-query >/dev/null || tools/install-packages $(APT_BUILD) $(APT_RPM)
	rpm/build "$(GO)" $(BUILD)/packages $(RPMFLAGS)
