# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# cockpit-cert-session. It is needed as often as there are sessions: pure Go and
# position-independent it takes the least memory. Where Go cannot link that by
# itself (it says "requires external linking"), or a distribution wants its own
# linker flags: make SESSION_BUILD='$(GOBUILD) -buildmode=pie -ldflags=-linkmode=external'.

SESSION        := $(BUILD)/cockpit-cert-session
SESSION_BUILD  ?= CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -buildmode=pie -ldflags=-bindnow

PROGRAMS += $(SESSION)

# Cockpit's own, for test/session and test/hostile; systemd-socket-activate.
APT_CHECK += cockpit-ws systemd

.PHONY: $(SESSION)
$(SESSION):
	$(SESSION_BUILD) -o $@ ./cmd/cockpit-cert-session

## bench-session: the throughput of cockpit-cert-session, and what it costs
.PHONY: bench-session
bench-session:
	$(GO) test -run '^$$' -bench . -benchtime 5x ./cmd/cockpit-cert-session
