# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
{
  description = "Log in to Cockpit with a TLS client certificate that SSSD maps to a user";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      forEachSystem =
        f:
        nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
          system: f nixpkgs.legacyPackages.${system}
        );
    in
    {
      packages = forEachSystem (pkgs: rec {
        pam_cockpit_cert = pkgs.callPackage ./nix/package.nix { };
        default = pam_cockpit_cert;
      });

      overlays.default = final: _prev: {
        pam_cockpit_cert = final.callPackage ./nix/package.nix { };
      };

      nixosModules = rec {
        pam-cockpit-cert = ./nix/module.nix;
        default = pam-cockpit-cert;
      };

      checks = forEachSystem (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        module = import ./nix/check.nix { inherit pkgs; };
        login = import ./nix/test.nix { inherit pkgs; };
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          packages = [
            pkgs.gopls
            pkgs.mandoc
            pkgs.shellcheck
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
