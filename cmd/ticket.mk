# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# cockpit-cert-ticket, in C: only MIT's own libraries can ask a KDC for a ticket
# in a user's place, and cockpit-ws has them anyway. A packager's hardening
# comes by the flags that cgo has, too.

TICKET         := $(BUILD)/cockpit-cert-ticket
TICKET_SOURCES := $(wildcard cmd/cockpit-cert-ticket/*.c)
TICKET_CFLAGS   = -std=gnu11 -Wall -Wextra -O2 -g '-ffile-prefix-map=$(CURDIR)=.'
TICKET_LDFLAGS  = -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
ifeq ($(CGO_CFLAGS),)
TICKET_CFLAGS  += -D_FORTIFY_SOURCE=2 -fstack-protector-strong
endif
# The path of libsss_nss_idmap.so.0, if the dynamic linker does not find it by its name.
ifneq ($(SSSD_LIBRARY),)
TICKET_CFLAGS  += '-DSSSD_LIBRARY="$(SSSD_LIBRARY)"'
endif

PROGRAMS      += $(TICKET)
APT_BUILD     += libkrb5-dev
APT_CHECK     += libkrb5-dev

# A KDC for test/ticket, and its programs.
APT_CHECK     += krb5-kdc krb5-user

TICKET_BUILD    = $(CC) $(TICKET_CFLAGS) $(CGO_CPPFLAGS) $(CGO_CFLAGS) -fPIE $$($(PKG_CONFIG) --cflags krb5-gssapi krb5) \
	$(TICKET_SOURCES) $(CGO_LDFLAGS) $(TICKET_LDFLAGS) $$($(PKG_CONFIG) --libs krb5-gssapi krb5) -ldl
$(BUILD)/ticket.flags: export BUILT_BY = $(TICKET_BUILD)
$(TICKET): $(TICKET_SOURCES) cmd/cockpit-cert-ticket/ticket.h $(BUILD)/ticket.flags
	$(TICKET_BUILD) -o $@
