# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

PACKAGES := $(BUILD)/packages

# Options of dpkg-buildpackage, such as -aarm64 with crossbuild-essential-arm64,
# libpam0g-dev:arm64 and libkrb5-dev:arm64 installed.
DEBFLAGS ?=

## deb: Debian's package, in build/packages
.PHONY: deb
deb:
	tools/install-packages build-essential debhelper fakeroot libkrb5-dev libpam0g-dev pkg-config
	deb/build "$(GO)" $(PACKAGES) $(DEBFLAGS)

# The packages with which test/deb checks the package.
APT_SYSTEMS += build-essential debhelper fakeroot
