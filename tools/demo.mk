# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# The packages that `make demo` installs. Not Cockpit: test/pamhost stands in for it.
APT_DEMO = $(APT_BUILD) dbus-daemon dbus-system-bus-common sssd-common sssd-dbus sssd-proxy

## demo: log in with good and bad certificates, privately, and see all five results
.PHONY: demo
demo:
	@tools/install-packages $(APT_DEMO)
	@$(MAKE) -s $(MODULE) $(BUILD)/test/pamhost $(BUILD)/test/demo
	@$(BUILD)/test/demo

TEST_PROGRAMS += $(BUILD)/test/demo
$(BUILD)/test/demo: $(shell find tools/demo internal -name '*.go') go.mod
	@$(GOBUILD) -o $@ ./tools/demo
