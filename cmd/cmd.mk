# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

COMMAND := $(BUILD)/pam-cockpit-cert
PROGRAMS += $(COMMAND)

# With cgo, so that `check` asks libc, and by it SSSD, for users.
COMMAND_LDFLAGS = -buildid= -linkmode=external $(GO_LDFLAGS) -X main.version=$(VERSION) -X main.module=$(PAMMODULE) \
	-X main.sessionCommand=$(LIBEXECDIR)/pam_cockpit_cert/cockpit-cert-session

## command: the administrator's command, build/pam-cockpit-cert
.PHONY: command
command: $(COMMAND)

# The PAM library for Go asks for RTLD_NEXT, which glibc before 2.34 has only so.
COMMAND_CPPFLAGS := -D_GNU_SOURCE

COMMAND_BUILD = CGO_CPPFLAGS="$(CGO_CPPFLAGS) $(COMMAND_CPPFLAGS)" $(GOBUILD) -buildmode=pie -ldflags='$(COMMAND_LDFLAGS) -extldflags "-Wl,-z,relro -Wl,-z,now"'

COMMAND_SOURCES := $(shell find cmd/pam-cockpit-cert internal -name '*.go') go.mod
$(BUILD)/command.flags: export BUILT_BY = $(COMMAND_BUILD)
$(COMMAND): $(COMMAND_SOURCES) $(BUILD)/command.flags
	$(COMMAND_BUILD) -o $@ ./cmd/pam-cockpit-cert

# Failing system calls, access control lists, a journal of our own, libpam's own verdicts, SSSD's on rules.
APT_CHECK += strace acl attr systemd-journal-remote e2fsprogs openssl sssd-tools

# The shells that complete.
APT_CHECK += bash-completion fish zsh

# What the shells complete is the same on every architecture. Where this machine
# cannot run the command, its own toolchain builds one that it can.
COMPLETIONS := $(addprefix $(BUILD)/completions/pam-cockpit-cert.,bash fish zsh)
PROGRAMS    += $(COMPLETIONS)
GO_RUN       = env -u GOOS -u GOARCH -u GOARM -u CC CGO_ENABLED=0 "$(GO)" run -trimpath -buildvcs=false
$(COMPLETIONS): $(COMMAND)
	@mkdir -p $(@D)
	if ! $(COMMAND) completion $(subst .,,$(suffix $@)) >$@.$$$$ 2>/dev/null; then \
		$(GO_RUN) ./cmd/pam-cockpit-cert completion $(subst .,,$(suffix $@)) >$@.$$$$; fi && mv $@.$$$$ $@
