# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# What makes Debian systems, and boots them.
APT_SYSTEMS += mmdebstrap debian-archive-keyring iproute2 systemd-container
