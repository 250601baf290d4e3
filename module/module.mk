# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

MODULE := $(BUILD)/pam_cockpit_cert.so

# Packs Go's relocations, where libc's loader can read them (glibc 2.36): this
# saves about 300 KiB in every login process.
RELR := $(shell printf '\043include <features.h>\n\043if !__GLIBC_PREREQ(2, 36)\n\043error\n\043endif\nint main(void) { return 0; }\n' | \
	$(CC) -x c - -o /dev/null -Wl,--fatal-warnings -Wl,-z,pack-relative-relocs 2>/dev/null && \
	echo -Wl,-z,pack-relative-relocs)

# A quotation mark within the shell's; this directory's name may have blanks, and
# commas, which -Wl would split.
QUOTE := '\''

# netgo,osusergo keep Go from libc's functions that take locks: the worker is
# forked from a host that may have threads, which may hold such a lock. The
# linker options put the runtime's start aside (runtime.ld) and hide every
# symbol except the two that libpam calls.
MODULE_LDFLAGS = -Xlinker -T -Xlinker $(QUOTE)$(CURDIR)/module/runtime.ld$(QUOTE) \
	-Xlinker $(QUOTE)--version-script=$(CURDIR)/module/module.map$(QUOTE) \
	-Wl,-soname,pam_cockpit_cert.so -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,defs $(RELR)
MODULE_CPPFLAGS = '-DTICKET_PROGRAM=\"$(LIBEXECDIR)/pam_cockpit_cert/cockpit-cert-ticket\"'
MODULE_BUILD = CGO_CPPFLAGS="$(CGO_CPPFLAGS) $(MODULE_CPPFLAGS)" $(GOBUILD) -buildmode=c-shared -ldflags='-buildid= -linkmode=external $(GO_LDFLAGS) -extldflags "$(MODULE_LDFLAGS)"'

MODULE_SOURCES = $(wildcard module/*) $(shell find internal -name '*.go') go.mod

PROGRAMS += $(MODULE)

## module: the PAM module, build/pam_cockpit_cert.so
.PHONY: module
module: $(MODULE)

$(BUILD)/module.flags: export BUILT_BY = $(MODULE_BUILD)
$(MODULE): $(MODULE_SOURCES) $(BUILD)/module.flags
	$(MODULE_BUILD) -tags netgo,osusergo -o $@ ./module
	@rm -f $(@:.so=.h)

# For the gate's tests: a worker that misbehaves in every way that they name.
$(BUILD)/test/faulty/pam_cockpit_cert.so: $(MODULE_SOURCES)
	$(MODULE_BUILD) -tags netgo,osusergo,faulty -o $@ ./module
	@rm -f $(@:.so=.h)
