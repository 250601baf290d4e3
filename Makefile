# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# Variables for packagers, all overridable:
#   DESTDIR     staging root of `make install`
#   PREFIX      /usr
#   LIBDIR      where this system keeps libraries; PAMDIR is its security directory
#   PAMDIR      PAM's module directory
#   PAMMODULE   how a rule names the module: by its path, if libpam does not look
#               for modules in PAMDIR
#   LIBEXECDIR  cockpit-cert-session and cockpit-cert-ticket go into its directory
#               pam_cockpit_cert
#   UNITDIR     the directory of systemd's units of packages
#   PAMMODE     the module's mode: 644 as in Debian, 755 as in Fedora
#   SBINDIR, MANDIR, DATADIR, DOCDIR
#   GO, CC      the compilers; GOFLAGS, CGO_CFLAGS, CGO_LDFLAGS work, too. With a
#               cross compiler everything but the completions is built for its
#               architecture
#   GOARCH, GOARM, PKG_CONFIG   by default those that fit CC
#   GO_LDFLAGS  more options of Go's linker for the module and pam-cockpit-cert
#   SOURCE_DATE_EPOCH, VERSION
# `make help` lists the targets. Packaging and tests add their own in */*.mk.

PREFIX     ?= /usr
MULTIARCH  := $(shell $(CC) -print-multiarch 2>/dev/null)
LIBPAM     := $(realpath $(shell $(CC) -print-file-name=libpam.so 2>/dev/null))
# The directory of libpam: lib/x86_64-linux-gnu, lib64 or lib.
LIBDIR     ?= $(PREFIX)/$(if $(MULTIARCH),lib/$(MULTIARCH),$(or $(notdir $(patsubst %/,%,$(dir $(LIBPAM)))),lib))
PAMDIR     ?= $(LIBDIR)/security
PAMMODULE  ?= $(shell tools/module-name '$(LIBPAM)' '$(PAMDIR)')
PAMMODE    ?= 644
LIBEXECDIR ?= $(PREFIX)/libexec
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SBINDIR    ?= $(PREFIX)/sbin
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
DOCDIR     ?= $(DATADIR)/doc/pam_cockpit_cert

ifeq ($(strip $(VERSION)),)
override VERSION = $(eval override VERSION := $$(shell tools/version))$(VERSION)
else ifneq ($(shell printf %s '$(subst ','\'',$(VERSION))' | tr -d '0-9A-Za-z.+~-'),)
$(error VERSION is '$(VERSION)': use letters, digits and . + ~ - only)
endif

$(foreach name,PAMDIR LIBEXECDIR UNITDIR SBINDIR DATADIR MANDIR DOCDIR,$(if \
	$(filter-out 1,$(words $($(name))))$(filter-out /%,$($(name))),$(error $(name) is '$($(name))': use an absolute path without blanks)))

# Go builds for the same architecture as the C compiler.
TARGET     := $(shell $(CC) -dumpmachine 2>/dev/null)
GOARCH     ?= $(GOARCH.$(firstword $(subst -, ,$(TARGET))))
GOARCH.x86_64 := amd64
GOARCH.aarch64 := arm64
GOARCH.powerpc64le := ppc64le
GOARCH.loongarch64 := loong64
GOARCH.riscv64 := riscv64
GOARCH.s390x := s390x
GOARCH.arm := arm
GOARCH.armv7l := arm
GOARCH.armv7hl := arm
GOARCH.i386 := 386
GOARCH.i586 := 386
GOARCH.i686 := 386
GOARM      ?= $(if $(filter %eabihf,$(TARGET)),7,$(if $(filter arm%eabi,$(TARGET)),5))
# Without a pkg-config for that architecture, the usual one gets its directories.
PKG_CONFIG ?= $(if $(shell command -v $(TARGET)-pkg-config),$(TARGET)-pkg-config,$(if \
	$(filter-out $(shell cc -print-multiarch 2>/dev/null),$(MULTIARCH)),PKG_CONFIG_LIBDIR=/usr/lib/$(MULTIARCH)/pkgconfig:$(PREFIX)/share/pkgconfig )pkg-config)

# The distribution's Go may be older than go.mod allows: tools/find-go finds or
# fetches one. Packagers set GO=go.
ifeq ($(origin GO),undefined)
GO          = $(eval GO := $$(shell tools/find-go))$(GO)
endif
BUILD      := build
ifneq ($(words $(BUILD) $(filter / . ..,$(BUILD))),1)
$(error BUILD is '$(BUILD)': name a directory of its own, without blanks; `make clean` empties it)
endif
GOTARGET    = GOARCH=$(GOARCH) GOARM=$(GOARM) CC="$(CC)"
GOBUILD     = $(GOTARGET) CGO_ENABLED=1 "$(GO)" build -trimpath -buildvcs=false

# Fragments append to these: programs to build, those that the tests run, what
# `make check` runs beyond the Go tests, and Debian packages to install.
PROGRAMS      :=
TEST_PROGRAMS :=
CHECKS        :=
APT_BUILD     := gcc libc6-dev libpam0g-dev make pkg-config
APT_CHECK     := $(APT_BUILD)
APT_SYSTEMS   :=

.DEFAULT_GOAL := all
# A rule that fails leaves no half of a file that would count as built.
.DELETE_ON_ERROR:

# $(BUILD)/NAME.flags has the command that built NAME, and what it reads from the
# environment: with another compiler, place or version NAME is built again. Another
# Go does not count, so that `sudo make install` builds nothing that is built.
$(BUILD)/%.flags: GO = go
$(BUILD)/%.flags: always
	@mkdir -p $(@D)
	@printf '%s\n' "$$BUILT_BY" "$$CGO_CPPFLAGS $$CGO_CFLAGS $$CGO_LDFLAGS" >$@.$$$$; \
	if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi
.PHONY: always

include $(sort $(wildcard */*.mk))

## help: list the targets
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | sort | awk -F': ' '{printf "  make %-16s %s\n", $$1, $$2}'

# The installed files: mode, file, place.
define FILES
$(PAMMODE) $(MODULE) $(PAMDIR)/pam_cockpit_cert.so
755 $(SESSION) $(LIBEXECDIR)/pam_cockpit_cert/cockpit-cert-session
755 $(TICKET) $(LIBEXECDIR)/pam_cockpit_cert/cockpit-cert-ticket
755 $(COMMAND) $(SBINDIR)/pam-cockpit-cert
$(foreach page,$(wildcard man/*.8),644 $(page) $(MANDIR)/man8/$(notdir $(page))
)
$(foreach file,$(wildcard pam.d/*),644 $(BUILD)/$(file) $(DATADIR)/pam_cockpit_cert/$(file)
)
$(foreach file,$(wildcard selinux/*),644 $(file) $(DATADIR)/pam_cockpit_cert/$(file)
)
$(foreach file,$(wildcard systemd/*/*),644 $(file) $(UNITDIR)/$(file:systemd/%=%)
)
$(foreach file,$(wildcard cockpit/certlogin/*),644 $(file) $(DATADIR)/$(file)
)
644 README.md $(DOCDIR)/README.md
644 LICENSE $(DOCDIR)/LICENSE
644 $(BUILD)/completions/pam-cockpit-cert.bash $(DATADIR)/bash-completion/completions/pam-cockpit-cert
644 $(BUILD)/completions/pam-cockpit-cert.zsh $(DATADIR)/zsh/site-functions/_pam-cockpit-cert
644 $(BUILD)/completions/pam-cockpit-cert.fish $(DATADIR)/fish/vendor_completions.d/pam-cockpit-cert.fish
endef
install uninstall: export INSTALLED = $(FILES)
install uninstall: export DESTDIR := $(DESTDIR)

# The example service files name the module in the way of this installation.
PAMD_FILES := $(addprefix $(BUILD)/,$(wildcard pam.d/*))
PROGRAMS   += $(PAMD_FILES)
$(PAMD_FILES): $(BUILD)/%: % $(BUILD)/command.flags
	@mkdir -p $(@D)
	sed 's|pam_cockpit_cert\.so|$(subst &,\&,$(PAMMODULE))|' $< >$@.$$$$ && mv $@.$$$$ $@

## all: build what `make install` installs
.PHONY: all
all: $(PROGRAMS)

## install: into DESTDIR; as root, or as another user who owns DESTDIR
.PHONY: install
install: all
	@printf '%s\n' "$$INSTALLED" | tools/install-files install "$$DESTDIR"

## uninstall: undo install, and what pam-cockpit-cert changed in /etc
.PHONY: uninstall
uninstall:
	@printf '%s\n' "$$INSTALLED" | tools/install-files uninstall "$$DESTDIR"

## check: lint and every test that needs no booted system
.PHONY: check
check: deps-check all lint $(CHECKS) $(GOTESTSUM) $(TEST_PROGRAMS)
	$(GOTESTED) --post-run-command "$(GO) run ./tools/testreport" -- -count=1 -timeout 30m ./...

# The longest suites start first, because two suites run at the same time.
LONGEST = ./test/systems/ ./test/deb/ ./test/rpm/ ./test/container/
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
