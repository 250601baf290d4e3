# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# The packages that make and boot Debian systems.
APT_SYSTEMS += mmdebstrap debian-archive-keyring iproute2 systemd-container
