# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# The PAM module, cockpit-cert-session, cockpit-cert-ticket, pam-cockpit-cert, their
# manual pages and completions. buildGoModule provides Go's dependencies. The
# Makefile builds and installs, so that this package has the same files as the others.
{
  lib,
  buildGoModule,
  libkrb5,
  pam,
  pkg-config,
  sssd,
}:

let
  makeArgs = ''GO=go PREFIX="$out" PAMDIR="$out/lib/security" SBINDIR="$out/bin" SSSD_LIBRARY=${lib.getLib sssd}/lib/libsss_nss_idmap.so.0'';
in
buildGoModule {
  pname = "pam_cockpit_cert";
  version = lib.fileContents ../VERSION;

  # Without the files of other packages and of Nix. test/ stays, because the packages
  # that it imports are part of the vendorHash.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.difference ../. (
      lib.fileset.unions (
        map lib.fileset.maybeMissing [
          ../.ci
          ../.git
          ../build
          ../container
          ../deb
          ../flake.lock
          ../flake.nix
          ../nix
          ../rpm
        ]
      )
    );
  };

  # `make tidy` refreshes it, `make check` compares.
  vendorHash = lib.fileContents ./vendor-hash;

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [
    libkrb5
    pam
  ];

  buildPhase = ''
    runHook preBuild
    make ${makeArgs} all
    runHook postBuild
  '';

  checkPhase = ''
    runHook preCheck
    # Not in the build directory, whose path is too long for the tests' sockets.
    TMPDIR=/tmp go test -short ./cmd/... ./internal/... ./module/...
    runHook postCheck
  '';

  installPhase = ''
    runHook preInstall
    make ${makeArgs} install
    runHook postInstall
  '';

  meta = {
    description = "PAM module that logs Cockpit users in by their TLS client certificate";
    longDescription = ''
      Cockpit asks PAM with no user name; this module finds the certificate
      that the kernel says the connection was made with, and asks SSSD who it
      belongs to.
    '';
    license = lib.licenses.lgpl21Plus;
    mainProgram = "pam-cockpit-cert";
    platforms = lib.platforms.linux;
  };
}
