# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# The packages that build the RPM package on Debian: debugedit processes the debugging
# information, and the last two make the policy module. On an RPM distribution,
# `dnf builddep` installs what the spec requires.
APT_RPM := rpm debugedit elfutils checkpolicy semodule-utils
# The packages that check the RPM package, and install it.
APT_SYSTEMS += $(APT_RPM) rpmlint createrepo-c dnf

# Options of rpmbuild, such as --with subfolder or --nocheck.
RPMFLAGS ?=

## rpm: the RPM package and its source package, into build/packages
.PHONY: rpm
rpm:
	! command -v dpkg-query >/dev/null || tools/install-packages $(APT_BUILD) $(APT_RPM)
	rpm/build "$(GO)" $(BUILD)/packages $(RPMFLAGS)
