# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

DIST := $(BUILD)/dist
# SIGN_WITH   the gpg key that signs the checksums; none by default
SIGN_WITH ?=

## dist: archives of the source and of the Go modules, with checksums, in build/dist (SIGN_WITH)
.PHONY: dist
dist:
	rm -rf $(DIST)
	tools/source-archive "$(GO)" '$(VERSION)' $(DIST)
	cd $(DIST) && sha256sum *.tar.gz >SHA256SUMS
	$(if $(SIGN_WITH),gpg --local-user '$(SIGN_WITH)' --armor --detach-sign $(DIST)/SHA256SUMS)

## release: tag the commit that VERSION, the changelogs and the spec agree about
.PHONY: release
release:
	tools/release

## newest: log in to the newest Cockpit, of Debian's unstable, on a booted machine
.PHONY: newest
newest: deps-check deps-systems all
	PATH="$(dir $(GO)):$$PATH" $(GO) test -count=1 -tags systems -timeout 50m -run '/sid' ./test/systems ./test/deb
