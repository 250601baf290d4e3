# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# services.pam-cockpit-cert: certificate login for Cockpit on NixOS.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.pam-cockpit-cert;
  cockpit = config.services.cockpit;
  security = config.security.pam.services.cockpit;
  sssd = config.services.sssd;
  webService = cockpit.settings.WebService or { };
  tlsCert = cockpit.settings."tls-cert" or { };

  module = "${cfg.package}/lib/security/pam_cockpit_cert.so";

  # In Cockpit "yes", "true" and "1", in any case, are true, and everything else is
  # false.
  isOn =
    value: value == true || lib.elem (lib.toLower (toString value)) [ "yes" "true" "1" ];
  command = "${cfg.package}/libexec/pam_cockpit_cert/cockpit-cert-session";

  # The orders of NixOS's own rules start at 10000. With a fixed number, an
  # administrator can place rules relative to this one.
  firstOrder = 100;

  # The names in sssd.conf's `services`, a comma-separated string.
  names = value: map lib.trim (lib.splitString "," (toString value));
  sssdServices =
    if sssd.config == "" then
      names (sssd.settings.sssd.services or "")
    else
      lib.concatMap (
        line:
        let
          value = builtins.match "[[:blank:]]*services[[:blank:]]*=(.*)" line;
        in
        lib.optionals (value != null) (names (lib.head value))
      ) (lib.splitString "\n" sssd.config);

  # The users who may ask the InfoPipe: root, unless this is set. services.sssd.config
  # is not parsed, because [pac] has such a key as well.
  mayAsk = if sssd.config == "" then names (sssd.settings.ifp.allowed_uids or "root") else [ "root" ];
in
{
  options.services.pam-cockpit-cert = {
    enable = lib.mkEnableOption ''
      login to Cockpit with a TLS client certificate, which SSSD maps to a user.

      This turns on {option}`services.cockpit` and {option}`services.sssd`, and
      leaves to you which domain SSSD asks. The rule is in Cockpit's PAM service
      only, and its password login stays as it is
    '';

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      example = lib.literalExpression "pkgs.pam_cockpit_cert";
      description = "The pam_cockpit_cert package to use.";
    };

    caFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      example = lib.literalExpression "./client-ca.pem";
      description = ''
        Certificates of the authorities that sign the users' certificates, as
        one PEM file. It becomes {file}`/etc/sssd/pki/sssd_auth_ca_db.pem`,
        without which SSSD trusts no certificate.

        With `null`, putting that file there is up to you, for example by a
        FreeIPA enrolment.
      '';
    };

    timeout = lib.mkOption {
      # The module's own limits.
      type = lib.types.nullOr (lib.types.ints.between 1 600);
      default = null;
      example = 30;
      description = ''
        How many seconds a login may wait for SSSD in all. With `null`, the
        module's own 15, which is above the 10 that SSSD allows itself for
        checking a certificate.
      '';
    };

    tickets = lib.mkOption {
      type = lib.types.bool;
      default = true;
      example = false;
      description = ''
        Whether the session of a domain's user has Kerberos tickets, where this
        host has a keytab: for sudo, and for the services of
        {option}`services.pam-cockpit-cert.ticketFor`.
      '';
    };

    ticketFor = lib.mkOption {
      type = lib.types.listOf (lib.types.strMatching "[^@[:space:]]+@[^@[:space:]]+");
      default = [ ];
      example = [ "host@other.example.com" ];
      description = ''
        Services that the session has a Kerberos ticket for as well, each as
        `service@host`. The domain must let this host delegate to them.
      '';
    };

    debug = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = ''
        Whether each step of a login is logged to the journal
        ({command}`journalctl -t cockpit-session`).
      '';
    };

    allowUnvalidated = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = ''
        Whether an SSSD that is too old to validate certificates may map them
        all the same.

        ::: {.warning}
        Such an SSSD looks at neither the issuer nor revocation
        (CVE-2021-3698): with a loose mapping rule, anyone can make a
        certificate that it takes for another user's. The SSSD in nixpkgs
        validates, and with it this option changes nothing.
        :::
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cockpit.enable;
        message = ''
          services.pam-cockpit-cert logs users in to Cockpit, which is off here. Add:

            services.cockpit.enable = true;
        '';
      }
      {
        assertion = sssd.enable;
        message = ''
          services.pam-cockpit-cert asks SSSD whose certificate it is, and SSSD is off here. Add
          services.sssd.enable = true; and your domain in services.sssd.settings.
        '';
      }
      {
        assertion = sssd.enable -> lib.elem "ifp" sssdServices;
        message = ''
          services.pam-cockpit-cert asks SSSD's InfoPipe, which is not among SSSD's services here
          (NixOS has no unit that would start it on demand). Add it:

            services.sssd.settings.sssd.services = "nss, pam, ifp";
        '';
      }
      {
        assertion =
          sssd.enable
          -> lib.any (name: lib.elem name mayAsk) [
            "root"
            "0"
          ];
        message = ''
          services.sssd.settings.ifp.allowed_uids keeps root from SSSD's InfoPipe, which
          services.pam-cockpit-cert asks as root. Add it:

            services.sssd.settings.ifp.allowed_uids = "root, ...";
        '';
      }
      {
        # Not every release of NixOS has this option.
        assertion = cockpit.enable -> security.enable or true;
        message = ''
          security.pam.services.cockpit.enable is off: Cockpit has no PAM service, so nobody can log in,
          by services.pam-cockpit-cert or otherwise. Unset it.
        '';
      }
      {
        assertion = cockpit.enable -> security.rules.auth.cockpit_cert.enable;
        message = ''
          security.pam.services.cockpit.rules.auth.cockpit_cert is off, which is the rule of
          services.pam-cockpit-cert. Unset it, or services.pam-cockpit-cert.enable.
        '';
      }
      {
        assertion =
          cockpit.enable && security.rules.auth.cockpit_cert.enable
          -> lib.hasInfix (builtins.unsafeDiscardStringContext " ${module}") security.text;
        message = ''
          security.pam.services.cockpit.text is set, which replaces all rules, the one of
          services.pam-cockpit-cert too. Unset it and use security.pam.services.cockpit.rules, or make
          this its first auth line:

            auth [success=done new_authtok_reqd=done user_unknown=die default=ignore] ${module}
        '';
      }
      {
        assertion =
          cockpit.enable && security.rules.auth.cockpit_cert.enable
          -> lib.all (name: security.rules.auth.cockpit_cert.order < security.rules.auth.${name}.order or firstOrder + 1) [
            "unix"
            "sss"
          ];
        message = ''
          security.pam.services.cockpit.rules.auth.cockpit_cert.order puts the rule of
          services.pam-cockpit-cert behind those that ask for a password, which a login by certificate
          does not have. Unset it.
        '';
      }
      {
        assertion =
          cockpit.enable
          -> builtins.match ".*[[[:space:]]user_unknown=die[][:space:]].*" security.rules.auth.cockpit_cert.control != null;
        message = ''
          security.pam.services.cockpit.rules.auth.cockpit_cert.control lets PAM go on to the rules for
          passwords after services.pam-cockpit-cert has refused a certificate. Unset it, or keep
          user_unknown=die in it.
        '';
      }
      {
        assertion = cockpit.enable -> isOn (webService.ClientCertAuthentication or null);
        message = ''
          services.cockpit.settings.WebService.ClientCertAuthentication is off: Cockpit does not ask
          browsers for a certificate, and services.pam-cockpit-cert has nothing to do. Unset it.
        '';
      }
      {
        assertion = cockpit.enable -> tlsCert ? Command;
        message = ''
          services.cockpit.settings."tls-cert".Command is missing: Cockpit maps certificates itself, past
          the PAM rule of services.pam-cockpit-cert. Do not force services.cockpit.settings."tls-cert".
        '';
      }
      {
        assertion = cockpit.enable && tlsCert ? Command -> lib.hasPrefix "${command} " "${toString tlsCert.Command} ";
        message = ''
          services.cockpit.settings."tls-cert".Command is another program than that of
          services.pam-cockpit-cert, which then never sees a certificate. Unset it.
        '';
      }
    ];

    warnings =
      lib.optional
        (
          sssd.enable
          && sssd.config == ""
          && !(sssd.settings ? sssd.domains)
          && !lib.any (lib.hasPrefix "domain/") (lib.attrNames sssd.settings)
        )
        ''
          services.sssd.settings has no domain. Unless one comes in SSSD's conf.d at run time, SSSD does
          not start, and services.pam-cockpit-cert has nobody to ask whose certificate it is.
        '';

    # An administrator may change the rule, in the ways that the manual page describes.
    security.pam.services.cockpit.rules.auth.cockpit_cert = {
      order = lib.mkDefault firstOrder;
      control = lib.mkDefault "[success=done new_authtok_reqd=done user_unknown=die default=ignore]";
      modulePath = module;
      settings = lib.mapAttrs (_: lib.mkDefault) {
        inherit (cfg) debug timeout;
        allow_unvalidated = cfg.allowUnvalidated;
        no_ticket = !cfg.tickets;
      };
      # An argument that occurs more than once cannot be one of the settings.
      args = map (service: "ticket_for=${service}") cfg.ticketFor;
    };

    # An administrator who turns one of them off gets the reason why it is needed.
    services.cockpit.enable = lib.mkDefault true;
    services.sssd.enable = lib.mkDefault true;

    services.cockpit.settings = {
      # As defaults, so that for another value the administrator gets the reason of
      # the assertions above, instead of a conflict of definitions.
      WebService.ClientCertAuthentication = lib.mkDefault true;
      # Otherwise Cockpit would map the certificate itself, without PAM's auth rules.
      "tls-cert".Command = lib.mkDefault command;
    };

    # The administrator configures a domain; the services of SSSD that a certificate
    # login needs are set here. NixOS does not allow settings together with text in
    # services.sssd.config, which then has to name the services itself.
    services.sssd.settings = lib.mkIf (sssd.enable && sssd.config == "") {
      sssd.services = lib.mkDefault "nss, pam, ifp";
    };

    environment.etc."sssd/pki/sssd_auth_ca_db.pem" = lib.mkIf (cfg.caFile != null) {
      source = cfg.caFile;
    };

    # Cockpit's limits leave too little room for cockpit-cert-session.
    systemd.packages = [ cfg.package ];

    # `pam-cockpit-cert status`, and the manual pages.
    environment.systemPackages = [ cfg.package ];

    # Cockpit looks for its pages, such as "Certificate login", in the system's path.
    environment.pathsToLink = [ "/share/cockpit" ];
  };
}
