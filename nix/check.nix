# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# Evaluates nix/module.nix in whole NixOS systems and compares what they would
# install with what is expected. Nothing is built: a difference is an
# evaluation error, so `nix flake check --no-build` finds it.
{
  pkgs,
  # nixosSystem, or anything else that takes `modules`.
  evalConfig ? import (pkgs.path + "/nixos/lib/eval-config.nix"),
}:

let
  inherit (pkgs) lib;

  evaluate =
    modules:
    evalConfig {
      system = null;
      modules = [
        ./module.nix
        {
          nixpkgs = { inherit pkgs; };
          boot.loader.grub.device = "nodev";
          fileSystems."/" = {
            device = "none";
            fsType = "tmpfs";
          };
          system.stateVersion = lib.trivial.release;
        }
      ]
      ++ modules;
    };
  nixos = modules: (evaluate modules).config;

  on.services.pam-cockpit-cert.enable = true;

  # The configuration that an administrator has to write, and variations of it.
  base = {
    imports = [ on ];
    services.sssd.settings."domain/example.org".id_provider = "ipa";
  };

  authLines =
    c: lib.filter (lib.hasPrefix "auth ") (lib.splitString "\n" c.security.pam.services.cockpit.text);
  # NixOS adds a comment with the rule's name and order.
  firstRule = c: lib.head (lib.splitString " #" (lib.head (authLines c)));
  failures = c: map (a: a.message) (lib.filter (a: !a.assertion) c.assertions);
  conf = c: c.environment.etc."cockpit/cockpit.conf".source.text;

  # The rule as every other package installs it. NixOS's rules have no leading
  # `-`, which is for a module that may be missing, and name modules by path.
  rule =
    package:
    lib.replaceStrings
      [ "-auth" "pam_cockpit_cert.so" ]
      [ "auth" "${package}/lib/security/pam_cockpit_cert.so" ]
      (lib.fileContents ../pam.d/rule);

  # In no particular order, as a rule's arguments are.
  words = text: lib.sort lib.lessThan (lib.splitString " " text);

  plain = nixos [ base ];
  package = plain.services.pam-cockpit-cert.package;

  busy = nixos [
    base
    (
      { config, ... }:
      {
        services.pam-cockpit-cert = {
          debug = true;
          timeout = 30;
          tickets = false;
          ticketFor = [ "host@other.example.com" ];
          allowUnvalidated = true;
          caFile = ../LICENSE;
        };
        services.fprintd.enable = true;
        security.pam.services.cockpit = {
          logFailures = true;
          oathAuth = true;
          rootOK = true;
          rules.auth.site = {
            order = config.security.pam.services.cockpit.rules.auth.rootok.order - 5000;
            control = "optional";
            modulePath = "pam_warn.so";
          };
        };
      }
    )
  ];

  # The rule as the manual page changes it, with an administrator's rules around it.
  changed = nixos [
    base
    (
      { config, ... }:
      let
        inherit (config.security.pam.services.cockpit.rules.auth) cockpit_cert;
        site = order: {
          inherit order;
          control = "optional";
          modulePath = "pam_warn.so";
        };
      in
      {
        security.pam.services.cockpit.rules.auth = {
          cockpit_cert.control = "[success=ok new_authtok_reqd=ok user_unknown=die default=ignore]";
          cockpit_cert.settings.debug = true;
          before = site (cockpit_cert.order - 10);
          after = site (cockpit_cert.order + 10);
        };
      }
    )
  ];

  off = nixos [
    base
    {
      services.pam-cockpit-cert.enable = lib.mkForce false;
      services.cockpit.enable = true;
    }
  ];

  # Wrong configurations, each with the beginning of its only error.
  wrong = [
    {
      config.services.cockpit.enable = lib.mkForce false;
      says = "services.pam-cockpit-cert logs users in to Cockpit, which is off here.";
    }
    {
      config.services.sssd.enable = lib.mkForce false;
      says = "services.pam-cockpit-cert asks SSSD whose certificate it is, and SSSD is off here.";
    }
    {
      config.services.sssd.settings.ifp.allowed_uids = "alice, 1000";
      says = "services.sssd.settings.ifp.allowed_uids keeps root from SSSD's InfoPipe,";
    }
    {
      config.security.pam.services.cockpit.rules.auth.cockpit_cert.enable = false;
      says = "security.pam.services.cockpit.rules.auth.cockpit_cert is off,";
    }
    {
      config.services.cockpit.settings."tls-cert" = lib.mkForce { };
      says = "services.cockpit.settings.\"tls-cert\".Command is missing:";
    }
    {
      config.services.sssd.settings.sssd.services = "nss, pam";
      says = "services.pam-cockpit-cert asks SSSD's InfoPipe,";
    }
    {
      config.services.sssd = {
        settings = lib.mkForce { };
        config = "[sssd]\nservices = nss, pam\n# services = ifp\n";
      };
      says = "services.pam-cockpit-cert asks SSSD's InfoPipe,";
    }
    {
      config.security.pam.services.cockpit.rules.auth.cockpit_cert.order = 20000;
      says = "security.pam.services.cockpit.rules.auth.cockpit_cert.order puts the rule of";
    }
    {
      config.security.pam.services.cockpit.rules.auth.cockpit_cert.control = "sufficient";
      says = "security.pam.services.cockpit.rules.auth.cockpit_cert.control lets PAM go on";
    }
    {
      config.security.pam.services.cockpit.text = "auth required pam_deny.so";
      says = "security.pam.services.cockpit.text is set,";
    }
    {
      config.services.cockpit.settings.WebService.ClientCertAuthentication = false;
      says = "services.cockpit.settings.WebService.ClientCertAuthentication is off:";
    }
    {
      config.services.cockpit.settings.WebService.ClientCertAuthentication = lib.mkForce "no";
      says = "services.cockpit.settings.WebService.ClientCertAuthentication is off:";
    }
    {
      config.services.cockpit.settings."tls-cert".Command = "/run/current-system/sw/bin/other";
      says = "services.cockpit.settings.\"tls-cert\".Command is another program";
    }
  ]
  ++ lib.optional (switches ? enable) {
    config.security.pam.services.cockpit.enable = false;
    says = "security.pam.services.cockpit.enable is off:";
  };

  expect = name: got: want: {
    assertion = got == want;
    message = "${name}:\n  got  ${lib.generators.toPretty { } got}\n  want ${
      lib.generators.toPretty { } want
    }";
  };

  # What `nixos-option` and the manual show of each option of the module.
  options = lib.filter (
    o:
    lib.take 2 o.loc == [
      "services"
      "pam-cockpit-cert"
    ]
  ) (lib.optionAttrSetToDocList (evaluate [ ]).options);

  # Cockpit's PAM service with every option of NixOS turned on that a service has.
  switches = lib.filterAttrs (_: o: o.type.name or "" == "bool") (
    (evaluate [ ]).options.security.pam.services.type.nestedTypes.elemType.getSubOptions [ ]
  );
  everything = nixos [
    base
    {
      security.pam.services.cockpit = lib.mapAttrs (_: _: lib.mkForce true) switches;
      security.pam.yubico.id = "1";
    }
  ];

  expectations = [
    (expect "nothing is wrong with one line, and a domain" (failures plain ++ plain.warnings) [ ])
    (expect "the one line turns Cockpit and SSSD on"
      [
        plain.services.cockpit.enable
        plain.services.sssd.enable
      ]
      [
        true
        true
      ]
    )
    (expect "Cockpit's own spelling of yes is one"
      (failures (nixos [
        base
        { services.cockpit.settings.WebService.ClientCertAuthentication = "yes"; }
      ]))
      [ ]
    )
    (expect "the option takes no time that the module would ignore"
      (builtins.tryEval
        (nixos [
          base
          { services.pam-cockpit-cert.timeout = 601; }
        ]).services.pam-cockpit-cert.timeout
      ).success
      false
    )
    (expect "every option has a type, a default, an example and a description" (map (o: lib.last o.loc)
      (
        lib.filter (
          o: !(o ? type && o ? default && o ? example && lib.stringLength (toString o.description) > 20)
        ) options
      )
    ) [ ])
    (expect "these are the options" (map (o: lib.last o.loc) options) [
      "allowUnvalidated"
      "caFile"
      "debug"
      "enable"
      "package"
      "ticketFor"
      "tickets"
      "timeout"
    ])
    (expect "it is first whatever else is on" (firstRule everything) (rule package))
    (expect "a lot else is on" (lib.length (authLines everything) > 10) true)
    (expect "the rule is the first" (firstRule plain) (rule package))
    (expect "the rule is there once" (lib.count (lib.hasInfix "pam_cockpit_cert") (
      lib.splitString "\n" plain.security.pam.services.cockpit.text
    )) 1)
    (expect "cockpit.conf asks for certificates and names our command" (conf plain) ''
      [WebService]
      ClientCertAuthentication=true
      LoginTo=false
      Origins=https://localhost:9090

      [tls-cert]
      Command=${package}/libexec/pam_cockpit_cert/cockpit-cert-session
    '')
    (expect "SSSD's InfoPipe runs" plain.services.sssd.settings.sssd.services "nss, pam, ifp")
    (expect "SSSD's bus policy is installed" (lib.elem pkgs.sssd plain.services.dbus.packages) true)
    (expect "Cockpit's slice has room for our sessions" (lib.elem package plain.systemd.packages) true)
    (expect "the commands are on the PATH" (lib.elem package plain.environment.systemPackages) true)
    (expect "no CA file unless asked for" (
      plain.environment.etc ? "sssd/pki/sssd_auth_ca_db.pem"
    ) false)
    (expect "no other service has the rule" (lib.attrNames (
      lib.filterAttrs (_: s: lib.hasInfix "pam_cockpit_cert" s.text) plain.security.pam.services
    )) [ "cockpit" ])

    (expect "options become the rule's, and it is first among many" (words (firstRule busy)) (
      words "${rule package} allow_unvalidated debug no_ticket timeout=30 ticket_for=host@other.example.com"
    ))
    (expect "rules can be placed around it, and it can be changed"
      (map (line: lib.head (lib.splitString " #" line)) (lib.take 3 (authLines changed)))
      [
        "auth optional pam_warn.so"
        "auth [success=ok new_authtok_reqd=ok user_unknown=die default=ignore] ${package}/lib/security/pam_cockpit_cert.so debug"
        "auth optional pam_warn.so"
      ]
    )
    (expect "nothing is wrong with a changed rule" (failures changed) [ ])
    (expect "nothing is wrong with every option set" (failures busy) [ ])
    (expect "the CA file is where SSSD looks" (toString
      busy.environment.etc."sssd/pki/sssd_auth_ca_db.pem".source
    ) (toString ../LICENSE))

    (expect "SSSD's settings may be text" (failures (nixos [
      on
      { services.sssd.config = "[sssd]\nservices = nss,ifp , pam\ndomains = example.org\n"; }
    ])) [ ])
    (expect "no domain at all is warned of" (lib.length
      (nixos [
        base
        { services.sssd.settings = lib.mkForce { sssd.services = "ifp"; }; }
      ]).warnings
    ) 1)

    (expect "disabled, it turns nothing on" off.services.sssd.enable false)
    (expect "disabled, it leaves no trace in PAM"
      (lib.hasInfix "pam_cockpit_cert" off.security.pam.services.cockpit.text)
      false
    )
    (expect "disabled, it leaves no trace in cockpit.conf" (conf off) ''
      [WebService]
      LoginTo=false
      Origins=https://localhost:9090
    '')
  ]
  ++ map (
    { config, says }:
    expect "a wrong configuration says: ${says}" (map (builtins.substring 0 (lib.stringLength says)) (
      failures (nixos [
        base
        config
      ])
    )) [ says ]
  ) wrong;

  failed = lib.filter (e: !e.assertion) expectations;
in
if failed == [ ] then
  pkgs.runCommand "pam-cockpit-cert-module" { } "touch $out"
else
  throw "nix/module.nix: ${lib.concatMapStringsSep "\n" (e: e.message) failed}"
