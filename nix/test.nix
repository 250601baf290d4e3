# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# A NixOS machine whose users log in to Cockpit with certificates. Needs KVM:
#
#   nix build .#checks.x86_64-linux.login
{
  pkgs,
}:

let
  # A certificate authority, alice's certificate, a certificate of no user, and one
  # with alice's name from an authority that SSSD does not know.
  pki = pkgs.runCommand "pki" { nativeBuildInputs = [ pkgs.openssl ]; } ''
    mkdir $out
    cd $out
    authority() {
      openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days 3650 -subj "/O=Lab/CN=$1" -keyout $1.key -out $1.pem
    }
    user() {
      openssl req -newkey rsa:2048 -nodes -sha256 -subj "/O=Lab/CN=$2" -keyout $3.key -out $3.csr
      openssl x509 -req -in $3.csr -CA $1.pem -CAkey $1.key -CAcreateserial -sha256 -days 3650 -out $3.pem \
        -extfile <(printf 'keyUsage = digitalSignature\nextendedKeyUsage = clientAuth\n')
    }
    authority ca
    authority stranger
    user ca alice alice
    user ca nobody nobody
    user stranger alice forged
    chmod a+r *
  '';
in
pkgs.testers.runNixOSTest {
  name = "pam-cockpit-cert";

  nodes.server = {
    imports = [ ./module.nix ];

    services.pam-cockpit-cert = {
      enable = true;
      debug = true;
      caFile = "${pki}/ca.pem";
    };
    services.cockpit = {
      enable = true;
      openFirewall = true;
    };
    services.sssd = {
      enable = true;
      settings = {
        sssd.domains = "local";
        # The accounts of /etc/passwd, because this does not test an LDAP directory.
        "domain/local" = {
          id_provider = "proxy";
          proxy_lib_name = "files";
          auth_provider = "none";
        };
        # In such a domain, a rule maps to the account with the rule's name. No `$` at
        # the end, because NixOS runs envsubst on sssd.conf.
        "certmap/local/alice".matchrule = "<SUBJECT>^CN=alice,O=Lab";
      };
    };
    users.users.alice = {
      isNormalUser = true;
      password = "correct horse";
    };
  };

  nodes.client.environment.systemPackages = [ pkgs.curl ];

  testScript = ''
    start_all()
    server.wait_for_unit("sssd.service")
    server.wait_for_unit("cockpit.socket")
    server.wait_until_succeeds(
        "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus"
        " NameHasOwner s org.freedesktop.sssd.infopipe | grep -q true"
    )
    client.wait_for_unit("network.target")
    client.wait_until_succeeds("curl -sk https://server:9090/ping")


    def login(credentials: str) -> str:
        return client.succeed(
            "curl -sk -o /tmp/body -w '%{http_code}'"
            f" {credentials} https://server:9090/cockpit/login"
        ).strip()


    def certificate(name: str) -> str:
        return f"--cert ${pki}/{name}.pem --key ${pki}/{name}.key"


    with subtest("the rule is PAM's first"):
        first = server.succeed("grep -m 1 ^auth /etc/pam.d/cockpit")
        assert "/lib/security/pam_cockpit_cert.so" in first, first

    with subtest("the administrator's command finds nothing wrong"):
        server.succeed("pam-cockpit-cert status >&2")

    with subtest("alice's certificate is alice's login"):
        status = login(certificate("alice"))
        assert status == "200", status
        server.wait_until_succeeds("loginctl list-users --no-legend | grep -qw alice")
        server.succeed("journalctl -b --grep 'pam_cockpit_cert.*alice' >&2")

    with subtest("a certificate that is nobody's is no login"):
        status = login(certificate("nobody"))
        assert status == "401", status

    with subtest("alice's name by an authority that SSSD does not know is no login"):
        status = login(certificate("forged"))
        assert status == "401", status

    with subtest("passwords work as before, without a certificate"):
        status = login("--user 'alice:correct horse'")
        assert status == "200", status
        status = login("--user 'alice:wrong horse'")
        assert status == "401", status

    with subtest("without SSSD there is no login by certificate, and passwords work"):
        server.succeed("systemctl stop sssd.service")
        status = login(certificate("alice"))
        assert status == "401", status
        status = login("--user 'alice:correct horse'")
        assert status == "200", status
  '';
}
