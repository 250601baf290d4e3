# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# test/nix parses and evaluates with it.
APT_CHECK += nix-bin
CHECKS += check-vendor-hash

## tidy: go mod tidy, and refresh what is derived from the dependencies
.PHONY: tidy
tidy:
	$(GO) mod tidy
	$(GO) run ./nix/vendorhash -go $(GO) >nix/vendor-hash.new
	mv nix/vendor-hash.new nix/vendor-hash

.PHONY: check-vendor-hash
check-vendor-hash:
	$(GO) run ./nix/vendorhash -go $(GO) -check nix/vendor-hash
