# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors

APT_SYSTEMS += buildah curl git iproute2 openssl slapd

# OCI_TOOL         podman or buildah, with its global options
# CONTAINER_BASE   a Debian 13 or later
# CONTAINER_TAG    the image's name
# CONTAINER_FLAGS  more options of `build`
OCI_TOOL       ?= $(if $(shell command -v podman),podman,buildah)
CONTAINER_BASE ?= docker.io/library/debian:trixie
CONTAINER_TAG  ?= localhost/pam-cockpit-cert:latest

# Go fetches the dependencies here, so that the build itself only needs Debian's
# packages. A plain `podman build`, as in the Containerfile, fetches them itself.
#
# A health check is part of the image only in Docker's format.
## container: build the image of Cockpit with certificate login (OCI_TOOL, CONTAINER_BASE, CONTAINER_TAG)
.PHONY: container
container:
	rm -rf $(BUILD)/container/vendor
	"$(GO)" mod vendor -o $(BUILD)/container/vendor
	$(OCI_TOOL) build --format docker -f container/Containerfile --ignorefile container/Containerfile.containerignore $(CONTAINER_FLAGS) \
		--build-arg BASE=$(CONTAINER_BASE) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git --git-dir=.git rev-parse HEAD 2>/dev/null || echo unknown) \
		-t $(CONTAINER_TAG) .
