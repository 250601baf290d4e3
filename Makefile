# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# Variables for packagers, all overridable:
#   DESTDIR     staging root of `make install`
#   PREFIX      /usr
#   LIBDIR      where this system keeps libraries; PAMDIR is its security folder
#   PAMDIR      PAM's module folder
#   LIBEXECDIR  cockpit-cert-session and cockpit-cert-ticket go into its folder
#               pam_cockpit_cert
#   UNITDIR     where packages have systemd's units
#   PAMMODE     the module's mode: 644 as Debian has it, 755 as Fedora does
#   SBINDIR, MANDIR, DATADIR, DOCDIR
#   GO, CC      the compilers; GOFLAGS, CGO_CFLAGS, CGO_LDFLAGS are honoured
#   GO_LDFLAGS  more options of Go's linker for the module and pam-cockpit-cert
#   SOURCE_DATE_EPOCH, VERSION
# `make help` lists the targets. Packaging and tests add their own in */*.mk.

PREFIX     ?= /usr
MULTIARCH  := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBDIR     ?= $(PREFIX)/lib$(if $(MULTIARCH),/$(MULTIARCH))
PAMDIR     ?= $(LIBDIR)/security
PAMMODE    ?= 644
LIBEXECDIR ?= $(PREFIX)/libexec
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SBINDIR    ?= $(PREFIX)/sbin
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
DOCDIR     ?= $(DATADIR)/doc/pam_cockpit_cert

VERSION    ?= $(shell cat VERSION)

# The oldest Go that go.mod allows may be newer than the distribution's:
# tools/find-go finds or fetches one. Packagers say GO=go.
ifeq ($(origin GO),undefined)
GO          = $(eval GO := $$(shell tools/find-go))$(GO)
endif
BUILD      := build
GOBUILD     = CGO_ENABLED=1 $(GO) build -trimpath -buildvcs=false

# Fragments append to these: programs to build, those that the tests run, what
# `make check` runs beyond the Go tests, and Debian packages to install.
PROGRAMS      :=
TEST_PROGRAMS :=
CHECKS        :=
APT_BUILD     := gcc libc6-dev libpam0g-dev make pkg-config
APT_CHECK     := $(APT_BUILD)
APT_SYSTEMS   :=

.PHONY: all


include $(sort $(wildcard */*.mk))

all: $(PROGRAMS)

## help: list the targets
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | sort | awk -F': ' '{printf "  make %-16s %s\n", $$1, $$2}'

INSTALL ?= install

## install: into DESTDIR; as root, or as anyone into a DESTDIR of theirs
.PHONY: install
install: all
	$(INSTALL) -d $(DESTDIR)$(PAMDIR) $(DESTDIR)$(LIBEXECDIR)/pam_cockpit_cert $(DESTDIR)$(SBINDIR) \
		$(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DATADIR)/pam_cockpit_cert/pam.d $(DESTDIR)$(DOCDIR) \
		$(DESTDIR)$(DATADIR)/pam_cockpit_cert/selinux $(DESTDIR)$(UNITDIR)/system-cockpithttps.slice.d \
		$(DESTDIR)$(DATADIR)/bash-completion/completions $(DESTDIR)$(DATADIR)/zsh/site-functions \
		$(DESTDIR)$(DATADIR)/fish/vendor_completions.d
	$(INSTALL) -m $(PAMMODE) $(MODULE) $(DESTDIR)$(PAMDIR)/
	$(INSTALL) -m 755 $(BUILD)/cockpit-cert-session $(DESTDIR)$(LIBEXECDIR)/pam_cockpit_cert/
	$(INSTALL) -m 755 $(BUILD)/cockpit-cert-ticket $(DESTDIR)$(LIBEXECDIR)/pam_cockpit_cert/
	$(INSTALL) -m 755 $(BUILD)/pam-cockpit-cert $(DESTDIR)$(SBINDIR)/
	$(INSTALL) -m 644 man/*.8 $(DESTDIR)$(MANDIR)/man8/
	$(INSTALL) -m 644 pam.d/* $(DESTDIR)$(DATADIR)/pam_cockpit_cert/pam.d/
	$(INSTALL) -m 644 selinux/* $(DESTDIR)$(DATADIR)/pam_cockpit_cert/selinux/
	$(INSTALL) -m 644 systemd/system-cockpithttps.slice.d/* $(DESTDIR)$(UNITDIR)/system-cockpithttps.slice.d/
	$(INSTALL) -m 644 README.md LICENSE $(DESTDIR)$(DOCDIR)/
	$(BUILD)/pam-cockpit-cert completion bash >$(DESTDIR)$(DATADIR)/bash-completion/completions/pam-cockpit-cert
	$(BUILD)/pam-cockpit-cert completion zsh >$(DESTDIR)$(DATADIR)/zsh/site-functions/_pam-cockpit-cert
	$(BUILD)/pam-cockpit-cert completion fish >$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/pam-cockpit-cert.fish

## check: lint and every test that needs no booted system
.PHONY: check
check: deps-check all lint $(CHECKS) $(GOTESTSUM) $(TEST_PROGRAMS)
	$(GOTESTED) --post-run-command "$(GO) run ./tools/testreport" -- -count=1 ./...

# What takes longest starts first, for two of them run side by side.
LONGEST = ./test/systems/ ./test/deb/
SYSTEMS = $(LONGEST) $(filter-out $(LONGEST),$(addprefix ./,$(sort $(dir $(shell grep -rl --include='*_test.go' '^//go:build systems' test internal)))))

## check-systems: boot machines, build and install every package
.PHONY: check-systems
check-systems: deps-check deps-systems all $(GOTESTSUM)
	$(GOTESTED) --format testname --post-run-command "$(GO) run ./tools/testreport -log" -- -count=1 -tags systems -timeout 60m -p 2 $(SYSTEMS)

.PHONY: deps-check deps-systems
deps-check:
	tools/install-packages $(APT_CHECK)
deps-systems:
	tools/install-packages $(APT_SYSTEMS)

## clean: remove what was built; the tests' systems stay in build/.cache
.PHONY: clean
clean:
	rm -rf $(wildcard $(BUILD)/*)
