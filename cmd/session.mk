# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# cockpit-cert-session. It is needed as often as there are sessions: pure Go and
# position-independent it takes the least memory. On other architectures than
# these Go cannot link that by itself ("requires external linking"), nor where a
# distribution wants its own linker flags: make SESSION_BUILD='$(SESSION_EXTERNAL)'.

SESSION          := $(BUILD)/cockpit-cert-session
SESSION_INTERNAL  = $(GOTARGET) CGO_ENABLED=0 "$(GO)" build -trimpath -buildvcs=false -buildmode=pie -ldflags=-bindnow
SESSION_EXTERNAL  = $(GOBUILD) -buildmode=pie -ldflags='-linkmode=external -extldflags "-Wl,-z,relro -Wl,-z,now"'
SESSION_BUILD    ?= $(if $(filter amd64 arm64 loong64 ppc64le s390x,$(GOARCH)),$(SESSION_INTERNAL),$(SESSION_EXTERNAL))

PROGRAMS += $(SESSION)

# Cockpit's own, for test/session and test/hostile; systemd-socket-activate.
APT_CHECK += cockpit-ws systemd

SESSION_SOURCES := $(shell find cmd/cockpit-cert-session internal -name '*.go') go.mod
$(BUILD)/session.flags: export BUILT_BY = $(SESSION_BUILD)
$(SESSION): $(SESSION_SOURCES) $(BUILD)/session.flags
	$(SESSION_BUILD) -o $@ ./cmd/cockpit-cert-session

## bench-session: the throughput of cockpit-cert-session, as a ratio to a direct socket
.PHONY: bench-session
bench: bench-session
bench-session:
	$(GO) test -run '^$$' -bench . -benchtime 5x ./cmd/cockpit-cert-session
