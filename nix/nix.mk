# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

# test/nix parses and evaluates with nix-bin.
APT_CHECK += nix-bin
CHECKS += check-vendor-hash

# test/nix parses the files. Debian has no packages of the three other tools, which
# run if they are installed.
NIX_FILES := flake.nix $(wildcard nix/*.nix test/nix/*.nix)
.PHONY: lint-nix
lint: lint-nix
lint-nix:
	@for tool in 'nixfmt --check' 'deadnix --fail' 'statix check'; do \
		command -v $${tool%% *} >/dev/null || { echo "SKIP $${tool%% *}: not here"; continue; }; \
		for file in $(NIX_FILES); do $$tool $$file || exit 1; done; \
	done

## tidy: go mod tidy, and refresh what is derived from the dependencies
.PHONY: tidy
tidy:
	$(GO) mod tidy
	$(GO) run ./tools/vendorhash -go $(GO) >nix/vendor-hash.new
	mv nix/vendor-hash.new nix/vendor-hash

.PHONY: check-vendor-hash
check-vendor-hash:
	$(GO) run ./tools/vendorhash -go $(GO) -check nix/vendor-hash
