# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# The services in which test/services logs in, and a module that gives capabilities.
APT_CHECK += openssh-server openssh-client sshpass sudo login passwd libpam-cap

# The other programs that the tests run.
TEST_PROGRAMS += $(BUILD)/test/pamhost $(BUILD)/test/faulty/pam_cockpit_cert.so

WARNINGS := -std=gnu11 -Wall -Wextra -Werror

$(BUILD)/test/pamhost: internal/testutil/pamhost/host/pamhost.c
	@mkdir -p $(@D)
	$(CC) $(WARNINGS) -O2 -g -o $@ $< -lpam -lpthread

# As a part of check, some seconds for each target. It is a number of runs, because Go
# sometimes reports the end of a time as a failure ("context deadline exceeded"). Longer
# with make fuzz FUZZTIME=1h.
FUZZTIME ?= 50000x
## fuzz: run every fuzz target for FUZZTIME
.PHONY: fuzz
fuzz:
	tools/fuzz $(GO) $(FUZZTIME)
CHECKS += fuzz

TEST_PROGRAMS += $(BUILD)/test/gohost
$(BUILD)/test/gohost: internal/testutil/pamhost/gohost/main.go go.mod
	$(GOBUILD) -o $@ ./internal/testutil/pamhost/gohost

# dbus-broker is only unpacked: installed, it would become this machine's bus. If it is
# not available, its tests are skipped.
TEST_PROGRAMS += $(BUILD)/test/dbus-broker
$(BUILD)/test/dbus-broker:
	@mkdir -p $@
	@cd $@ && if apt-get -qq download dbus-broker >/dev/null 2>&1; then dpkg-deb -x dbus-broker_*.deb .; fi

# The SSSD of test/sssd, and its LDAP servers.
APT_CHECK += 389-ds-base dbus dbus-daemon dbus-system-bus-common ldap-utils libnss-sss libpam-cap slapd sssd-common sssd-dbus sssd-ldap sssd-proxy

# Only unpacked, too: the tests of sessions have a cockpit-bridge of their own.
$(BUILD)/test/cockpit-bridge:
	@mkdir -p $@
	@cd $@ && if apt-get -qq download cockpit-bridge >/dev/null 2>&1; then dpkg-deb -x cockpit-bridge_*.deb .; fi

## bench: time, memory and transfers, as ratios to their peers
.PHONY: bench
bench: deps-check deps-systems all $(TEST_PROGRAMS) $(BUILD)/test/cockpit-bridge
	PATH="$(dir $(GO)):$$PATH" $(GO) test -count=1 -tags systems -run '^$$' -bench . -benchtime 1x ./test/bench ./test/bus ./test/session ./test/ticket
