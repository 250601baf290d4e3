# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# The packages with commands that the tests of booted machines run on this machine.
APT_SYSTEMS += git tar util-linux
