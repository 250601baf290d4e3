// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package nix checks the flake, the package and the NixOS module with Nix
// itself.
//
// Most tests only need Nix (Debian: nix-bin), and evaluate the NixOS module with
// standin.nix. With the tag systems, the package is built by its phases, and Debian
// boots with it and with the files that the NixOS module makes. The others need nixpkgs,
// which Debian does not have, and a Nix that nixpkgs accepts: set NIXPKGS to the
// directory of a copy.
package nix

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/cockpit"
)

const top = "../.."

// nixCommand prepares a Nix program with its own store and configuration, so that
// the host's are neither needed nor changed.
func nixCommand(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("no %s here (Debian: nix-bin)", program)
	}
	home := t.TempDir()
	t.Cleanup(func() { makeWritable(home) })
	conf := filepath.Join(home, "nix.conf")
	settings := "experimental-features = nix-command flakes\nbuild-users-group =\nsubstituters =\nflake-registry =\nsandbox = false\n"
	if err := os.WriteFile(conf, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "HOME="+home, "NIX_CONF_DIR="+home, "NIX_PATH=", "NIX_REMOTE=",
		"NIX_STORE_DIR="+home+"/store", "NIX_STATE_DIR="+home+"/state", "NIX_LOG_DIR="+home+"/log")
	return cmd
}

// makeWritable lets the owner remove what Nix has made read-only.
func makeWritable(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}
	return string(out)
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryNixFileParses(t *testing.T) {
	files := []string{"flake.nix"}
	for _, dir := range []string{"nix", "test/nix"} {
		found, err := fs.Glob(os.DirFS(top), dir+"/*.nix")
		if err != nil || len(found) == 0 {
			t.Fatalf("no Nix files in %s: %v", dir, err)
		}
		files = append(files, found...)
	}
	output(t, nixCommand(t, "nix-instantiate", append([]string{"--parse"}, files...)...))
}

// lock is the entry of an input in flake.lock.
type lock struct {
	Nodes map[string]struct {
		Locked struct {
			LastModified           int64
			NarHash, Rev           string
			Owner, Repo, Ref, Type string
		}
		Original struct{ Owner, Repo, Ref, Type string }
		Inputs   map[string]string
	}
	Root    string
	Version int
}

func TestTheLockIsThatOfTheFlakesInputs(t *testing.T) {
	input := regexp.MustCompile(`inputs\.(\w+)\.url = "github:([^/"]+)/([^/"]+)/([^/"]+)"`).FindAllStringSubmatch(read(t, "flake.nix"), -1)
	var l lock
	if err := json.Unmarshal([]byte(read(t, "flake.lock")), &l); err != nil {
		t.Fatal(err)
	}
	if l.Version != 7 {
		t.Errorf("version %d of flake.lock, want 7", l.Version)
	}
	if got := len(l.Nodes[l.Root].Inputs); got != len(input) || got == 0 {
		t.Errorf("%d inputs locked, %d in flake.nix", got, len(input))
	}
	for _, in := range input {
		node := l.Nodes[l.Nodes[l.Root].Inputs[in[1]]]
		o := node.Original
		if o.Type != "github" || o.Owner != in[2] || o.Repo != in[3] || o.Ref != in[4] {
			t.Errorf("%s: locked for %+v, flake.nix wants %s", in[1], o, in[0])
		}
		if node.Locked.Owner != o.Owner || node.Locked.Repo != o.Repo {
			t.Errorf("%s: locked to another repository, %s/%s", in[1], node.Locked.Owner, node.Locked.Repo)
		}
		if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(node.Locked.Rev) {
			t.Errorf("%s: locked to %q, no revision", in[1], node.Locked.Rev)
		}
		if !regexp.MustCompile(`^sha256-[A-Za-z0-9+/]{43}=$`).MatchString(node.Locked.NarHash) {
			t.Errorf("%s: %q is no NAR hash", in[1], node.Locked.NarHash)
		}
	}
}

// With an incomplete lock every user's Nix would resolve the branch again; offline,
// Nix would fail.
func TestNixTakesTheLockAsItIs(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"flake.nix", "flake.lock"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(read(t, f)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var metadata struct {
		Locks lock
	}
	cmd := nixCommand(t, "nix", "flake", "metadata", "--json", "--offline", "--no-write-lock-file", "path:"+dir)
	if err := json.Unmarshal([]byte(output(t, cmd)), &metadata); err != nil {
		t.Fatal(err)
	}
	var recorded lock
	if err := json.Unmarshal([]byte(read(t, "flake.lock")), &recorded); err != nil {
		t.Fatal(err)
	}
	if got, want := metadata.Locks.Nodes["nixpkgs"].Locked, recorded.Nodes["nixpkgs"].Locked; got != want {
		t.Errorf("Nix resolves nixpkgs to %+v, flake.lock says %+v", got, want)
	}
}

// TestTheModuleHasTheRuleOfEveryOtherPackage needs no Nix: the module must have the
// control field of pam.d/rule unchanged.
func TestTheModuleHasTheRuleOfEveryOtherPackage(t *testing.T) {
	control := regexp.MustCompile(`\[[^\]]*\]`).FindString(read(t, ruleFile))
	if control == "" {
		t.Fatalf("no control field in %s", ruleFile)
	}
	module := read(t, "nix/module.nix")
	if !strings.Contains(module, `control = lib.mkDefault "`+control+`";`) {
		t.Errorf("nix/module.nix has another control field than %s", control)
	}
	if n := strings.Count(module, control); n != strings.Count(module, "[success=") {
		t.Errorf("nix/module.nix has other control fields than %s", control)
	}
}

// Neither does this: the module must make the settings of `pam-cockpit-cert enable`,
// with the command of the Nix package.
func TestTheModuleMakesTheSettingsOfEveryOtherPackage(t *testing.T) {
	module := read(t, "nix/module.nix")
	for _, c := range cockpit.CertificateSettings("command") {
		want := regexp.MustCompile(`(?m)^ *"?` + regexp.QuoteMeta(c.Section) + `"?\.` + regexp.QuoteMeta(c.Key) +
			` = lib\.mkDefault (` + regexp.QuoteMeta(c.Value) + `|command);$`)
		if !want.MatchString(module) {
			t.Errorf("nix/module.nix does not set [%s] %s to %s", c.Section, c.Key, c.Value)
		}
	}
}

// ruleFile is the file from which the packages take the rule.
const ruleFile = "pam.d/rule"

func TestTheModuleInNixOS(t *testing.T) {
	nixpkgs := nixpkgs(t)
	got := output(t, nixCommand(t, "nix-instantiate", "--eval", "--strict", "-E",
		"map (f: (import f { pkgs = import "+nixpkgs+" { }; }).drvPath != \"\") [ ./nix/check.nix ./nix/test.nix ]"))
	if strings.TrimSpace(got) != "[ true true ]" {
		t.Errorf("the checks evaluate to %s", got)
	}
}

// Every output of the flake is evaluated, for both architectures.
func TestTheFlakeWithNixpkgs(t *testing.T) {
	nixpkgs := nixpkgs(t)
	flake := filepath.Join(t.TempDir(), "source")
	copySource(t, flake, nil)
	output(t, nixCommand(t, "nix", "flake", "check", "--no-build", "--all-systems", "--offline", "--no-write-lock-file",
		"--override-input", "nixpkgs", "path:"+nixpkgs, "path:"+flake))
}

// The README's lines for a flake work.
func TestTheReadmesThreeLines(t *testing.T) {
	snippet := regexp.MustCompile(`(?ms)^### NixOS\n\n(.*?)\n\n[^ ]`).FindStringSubmatch(read(t, "README.md"))
	if snippet == nil {
		t.Fatal("README.md has no section on NixOS that begins with code")
	}
	input, modules, found := strings.Cut(snippet[1], "# and among the modules of nixosSystem:\n")
	if !found {
		t.Fatalf("README.md has no modules in %q", snippet[1])
	}
	code := []string{}
	for line := range strings.Lines(input + modules) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			code = append(code, line)
		}
	}
	if len(code) != 3 {
		t.Errorf("the README takes %d lines, not three: %q", len(code), code)
	}
	// standin.nix evaluates these lines as modules of nixosSystem.
	dir := t.TempDir()
	flake := `{
		inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
		` + input + `
		outputs = { nixpkgs, pam-cockpit-cert, ... }: {
			modules = [ ` + modules + ` ];
		};
	}`
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(flake), 0o644); err != nil {
		t.Fatal(err)
	}
	// The first module is the flake's, the second one the administrator's.
	got := output(t, nixCommand(t, "nix-instantiate", "--eval", "--strict", "--json", "-E",
		`let ours = import ./flake.nix; theirs = import `+dir+`/flake.nix;
		 outputs = ours.outputs { self = outputs; nixpkgs.lib.genAttrs = _: _: { }; };
		 modules = (theirs.outputs { nixpkgs = { }; pam-cockpit-cert = outputs; }).modules;
		 in [ (builtins.elemAt modules 0 == ./nix/module.nix)
		      (import ./test/nix/standin.nix (builtins.elemAt modules 1)).failures ]`))
	if strings.TrimSpace(got) != "[true,[]]" {
		t.Errorf("the first module is ours, failed assertions: %s", got)
	}
}

// nixpkgs returns the directory of a copy of nixpkgs.
func nixpkgs(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NIXPKGS")
	if dir == "" {
		t.Skip("no nixpkgs here: name a copy of it in NIXPKGS")
	}
	return dir
}
