# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

APT_CHECK += shellcheck mandoc git

## lint: gofmt, go vet, staticcheck, govulncheck, shellcheck, mandoc
.PHONY: lint
lint: lint-go lint-vuln lint-sh lint-man

.PHONY: lint-go lint-vuln lint-sh lint-man
lint-go:
	@files=$$($(GO) run cmd/gofmt -l $$(find . -name '*.go' -not -path './build/*')) || exit 1; \
	if [ -n "$$files" ]; then echo "not gofmt'd: $$files" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags systems ./...
	GOTOOLCHAIN=auto GOFLAGS= $(GO) run $(STATICCHECK) -tags systems ./...

# Its database is on the network, which a build machine may not reach.
lint-vuln:
	@out=$$(GOTOOLCHAIN=auto GOFLAGS= $(GO) run $(GOVULNCHECK) ./... 2>&1); status=$$?; \
	case "$$status $$out" in \
	0*) echo "govulncheck: no known vulnerability" ;; \
	*"fetching vulnerabilities"*|*"dial tcp"*|*"no such host"*) echo "SKIP govulncheck: its database cannot be had here" ;; \
	*) printf '%s\n' "$$out"; exit 1 ;; \
	esac

lint-sh:
	shellcheck $$(find . \( -path ./build -o -path ./.git \) -prune -o -type f -exec \
		awk 'FNR == 1 { if (/^#!\/bin\/(ba)?sh/) print FILENAME; nextfile }' {} +)

lint-man:
	@for page in man/*.[1-9]; do [ ! -e "$$page" ] || mandoc -Tlint -Wwarning "$$page" || exit 1; done
