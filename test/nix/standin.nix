# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# Evaluates nix/module.nix where there is no nixpkgs, as far as that goes: with
# the few functions of its lib that the module uses, and with the options of
# other modules that it reads. nix/check.nix does it with the real ones.
#
# `administrator` is what somebody has in configuration.nix; of it, the values
# win over the module's own.
administrator:

let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatStringsSep
    elemAt
    filter
    isAttrs
    isString
    mapAttrs
    match
    replaceStrings
    sort
    split
    stringLength
    substring
    ;

  lib = {
    inherit (builtins)
      any
      attrNames
      concatMap
      elem
      foldl'
      head
      ;
    min = a: b: if a < b then a else b;
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text;
    splitString = separator: text: filter isString (split separator text);
    trim =
      text:
      let
        inner = elemAt (match "[[:space:]]*(.*[^[:space:]])?[[:space:]]*" text) 0;
      in
      if inner == null then "" else inner;
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];

    literalExpression = text: text;
    mkOption = option: option;
    mkEnableOption = what: {
      type = "bool";
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
    types = {
      bool = "bool";
      ints.positive = "positive";
      nullOr = type: "null or ${type}";
      package = "package";
      path = "path";
    };

    mkDefault = value: value;
    mkIf = condition: content: if condition then content else { };
  };

  update =
    old: new:
    if isAttrs old && isAttrs new then
      old // mapAttrs (name: value: if old ? ${name} then update old.${name} value else value) new
    else
      new;

  module = import ../../nix/module.nix {
    inherit lib config;
    pkgs.callPackage = _: _: "/package";
  };
  options = module.options.services.pam-cockpit-cert;

  # What other modules have, ours adds, and the administrator overrides. Ours
  # sets nothing among its own options: whether it is on must not depend on it.
  config = {
    inherit (merged)
      assertions
      environment
      security
      warnings
      ;
    services = {
      inherit (merged.services) cockpit sssd;
      pam-cockpit-cert = update (mapAttrs (
        _: o: o.default
      ) options) administrator.services.pam-cockpit-cert;
    };
  };
  merged = update (update {
    services = {
      cockpit = {
        enable = false;
        settings.WebService.LoginTo = false;
      };
      sssd = {
        enable = false;
        settings = { };
        config = "";
      };
    };
    security.pam.services.cockpit = {
      enable = true;
      inherit text;
      rules.auth = {
        unix = {
          enable = true;
          order = 11700;
          control = "sufficient";
          modulePath = "pam_unix.so";
        };
        deny = {
          enable = true;
          order = 12500;
          control = "required";
          modulePath = "pam_deny.so";
        };
        cockpit_cert.enable = true;
      };
    };
    environment.etc = { };
    assertions = [ ];
    warnings = [ ];
  } module.config) administrator;

  # The file in /etc/pam.d, as NixOS writes it.
  text = concatStringsSep "" (
    map (
      rule:
      concatStringsSep " " (
        [
          "auth"
          rule.control
          rule.modulePath
        ]
        ++ filter (a: a != null) (
          lib.mapAttrsToList (
            key: value:
            if value == true then
              key
            else if value == false || value == null then
              null
            else
              "${key}=${toString value}"
          ) (rule.settings or { })
        )
      )
      + "\n"
    ) (sort (a: b: a.order < b.order) (filter (r: r ? order && r.enable) (attrValues rules)))
  );
  rules = config.security.pam.services.cockpit.rules.auth;
in
{
  failures = map (a: a.message) (filter (a: !a.assertion) config.assertions);
  warnings = config.warnings;
  pam = config.security.pam.services.cockpit.text;
  cockpit = config.services.cockpit.settings;
  sssd = config.services.sssd.settings;
  # A file on a condition that does not hold is no file.
  etc = lib.concatMap (
    name:
    lib.optional (config.environment.etc.${name} != { })
      "${name} ${config.environment.etc.${name}.source}"
  ) (attrNames config.environment.etc);
  on = config.services.cockpit.enable && config.services.sssd.enable;
  documented = mapAttrs (
    _: o:
    all (part: o ? ${part}) [
      "type"
      "default"
      "example"
      "description"
    ]
  ) options;
}
