# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: The pam_cockpit_cert authors
#
# Evaluates nix/module.nix without nixpkgs, as far as possible: with the few functions
# of nixpkgs' lib that the module uses, and with the options of other modules that it
# reads. nix/check.nix evaluates it with the real ones.
#
# `administrator` is the contents of configuration.nix, or a function from `config` to
# them. Its values override the module's defaults, but not the module's other
# definitions.
definitions:

let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatStringsSep
    elemAt
    filter
    isAttrs
    isFunction
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
      all
      any
      attrNames
      concatMap
      elem
      foldl'
      head
      mapAttrs
      ;
    toLower = replaceStrings upper lower;
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
      ints.between =
        low: high:
        "between ${toString low} and ${toString high}";
      listOf = type: "list of ${type}";
      strMatching = pattern: "text like ${pattern}";
      nullOr = type: "null or ${type}";
      package = "package";
      path = "path";
    };

    mkDefault = value: { default = value; };
    mkIf = condition: content: if condition then content else { };
  };

  upper = filter (c: isString c && c != "") (split "" "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  lower = filter (c: isString c && c != "") (split "" "abcdefghijklmnopqrstuvwxyz");

  isDefault = value: isAttrs value && attrNames value == [ "default" ];
  update =
    old: new:
    if isAttrs old && isAttrs new && !isDefault new then
      old // mapAttrs (name: value: if old ? ${name} then update old.${name} value else value) new
    else
      new;
  # The text of Nix's own error.
  define =
    old: new:
    if isDefault old then
      new
    else if isAttrs old && isAttrs new then
      old // mapAttrs (name: value: if old ? ${name} then define old.${name} value else value) new
    else if old == new then
      new
    else
      throw "conflicting definition values";
  values =
    set:
    if isDefault set then
      values set.default
    else if isAttrs set then
      mapAttrs (_: values) set
    else
      set;

  administrator = if isFunction definitions then definitions config else definitions;

  module = import ../../nix/module.nix {
    inherit lib config;
    pkgs.callPackage = _: _: "/package";
  };
  options = module.options.services.pam-cockpit-cert;

  # The values of other modules, then of this module, then of the administrator. The
  # module does not set its own options, because they decide whether it is on.
  config = {
    inherit (merged)
      assertions
      environment
      security
      systemd
      warnings
      ;
    services = {
      inherit (merged.services) cockpit sssd;
      pam-cockpit-cert = update (mapAttrs (
        _: o: o.default
      ) options) administrator.services.pam-cockpit-cert;
    };
  };
  merged = values (update defaults (define module.config administrator));
  defaults = {
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
    environment = {
      etc = { };
      systemPackages = [ ];
      pathsToLink = [ ];
    };
    systemd.packages = [ ];
    assertions = [ ];
    warnings = [ ];
  };

  # The file in /etc/pam.d that NixOS writes.
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
        ++ rule.args or [ ]
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
  # A file whose condition is false is left out.
  etc = lib.concatMap (
    name:
    lib.optional (config.environment.etc.${name} != { })
      "${name} ${config.environment.etc.${name}.source}"
  ) (attrNames config.environment.etc);
  units = config.systemd.packages;
  programs = config.environment.systemPackages;
  links = config.environment.pathsToLink;
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
