# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

MODULE := $(BUILD)/pam_cockpit_cert.so

.PHONY: module
module:
	@echo "the module comes with its own commit"
