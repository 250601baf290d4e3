# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# go test does not show which tests were skipped, and why: gotestsum lists them. The
# output of every test is in build/check.json and build/check-systems.json.
GOTESTSUM         := $(BUILD)/gotestsum
GOTESTSUM_VERSION := v1.13.0
GOTESTED           = PATH="$(dir $(GO)):$$PATH" $(GOTESTSUM) --format-icons text --format-hide-empty-pkg --jsonfile $(BUILD)/$@.json

$(GOTESTSUM): test/gotest.mk
	GOBIN=$(abspath $(@D)) GOTOOLCHAIN=auto GOFLAGS= $(GO) install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
	@touch $@
