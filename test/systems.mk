# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# Commands of theirs that the tests of booted machines use here.
APT_SYSTEMS += git tar util-linux
