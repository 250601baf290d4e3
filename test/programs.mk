# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# What test/services logs in to.
APT_CHECK += openssh-server openssh-client sshpass sudo login passwd

# What the tests run beside the module.
TEST_PROGRAMS += $(BUILD)/test/pamhost $(BUILD)/test/faulty/pam_cockpit_cert.so

WARNINGS := -std=gnu11 -Wall -Wextra -Werror

$(BUILD)/test/pamhost: internal/testutil/pamhost/host/pamhost.c
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) -O2 -g -o $@ $< -lpam -lpthread

# As a part of check, some seconds for each: a number of runs, for Go at times
# takes the end of a time for a failure ("context deadline exceeded"). More with
# make fuzz FUZZTIME=1h.
FUZZTIME ?= 50000x
## fuzz: run every fuzz target for FUZZTIME
.PHONY: fuzz
fuzz:
	tools/fuzz $(GO) $(FUZZTIME)
CHECKS += fuzz

TEST_PROGRAMS += $(BUILD)/test/gohost
$(BUILD)/test/gohost: internal/testutil/pamhost/gohost/main.go go.mod
	$(GOBUILD) -o $@ ./internal/testutil/pamhost/gohost

# The other bus, unpacked only: installed, it would be this machine's. Where it
# cannot be had, its tests say so.
TEST_PROGRAMS += $(BUILD)/test/dbus-broker
$(BUILD)/test/dbus-broker:
	@mkdir -p $@
	@cd $@ && if apt-get -qq download dbus-broker >/dev/null 2>&1; then dpkg-deb -x dbus-broker_*.deb .; fi

# The light SSSD of test/sssd, and its directories.
APT_CHECK += 389-ds-base dbus dbus-daemon dbus-system-bus-common ldap-utils libnss-sss libpam-cap slapd sssd-common sssd-dbus sssd-ldap sssd-proxy

## bench: time and memory, as ratios to the C module of Cockpit 239
.PHONY: bench
bench: deps-check deps-systems all $(TEST_PROGRAMS)
	PATH="$(dir $(GO)):$$PATH" $(GO) test -count=1 -tags systems -run '^$$' -bench . -benchtime 1x ./test/bench ./test/ticket
