// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamd

import (
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// verdict is what the real libpam says about a service file.
type verdict struct {
	complaints []string // what is wrong with the file
	modules    []string // those that it tried to load, and which do not exist
}

var included = regexp.MustCompile(`((?:include|substack)[ \t]+)([a-z])`)

// libpam asks the real one about files, by name.
func libpam(t *testing.T, files map[string]string) map[string]verdict {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "verdict")
	if out, err := exec.Command("cc", "-Wall", "-Wextra", "-Werror", "-o", program, "testdata/verdict.c", "-lpam").CombinedOutput(); err != nil {
		t.Skipf("needs a C compiler and libpam0g-dev: %s", out)
	}
	confdir := filepath.Join(dir, "pam.d")
	if err := os.Mkdir(confdir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(confdir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"other", "common", "common-auth", "common-account", "common-password", "common-session",
		"password-auth", "postlogin", "system-remote-login"} {
		write(name, "auth required pam_permit.so\naccount required pam_permit.so\npassword required pam_permit.so\nsession required pam_permit.so\n")
	}
	args := []string{confdir}
	for name, text := range files {
		// libpam looks for included files in /etc/pam.d, whatever the folder.
		write(name, included.ReplaceAllString(text, "${1}"+confdir+"/${2}"))
		args = append(args, name)
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]verdict{}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Split(line, "\t")
		var v verdict
		for _, said := range fields[1 : len(fields)-1] {
			_, module, missing := strings.Cut(said, "unable to dlopen(")
			switch {
			case missing:
				module, _, _ = strings.Cut(module, "):")
				v.modules = append(v.modules, module)
			case !strings.Contains(said, "adding faulty module"):
				v.complaints = append(v.complaints, said)
			}
		}
		if result := fields[len(fields)-1]; result != "0" {
			v.complaints = append(v.complaints, "pam_start returned "+result)
		}
		verdicts[fields[0]] = v
	}
	return verdicts
}

func TestLibpamReadsEveryServiceFileBeforeAndAfter(t *testing.T) {
	files := map[string]string{}
	for name, text := range services(t) {
		if name == "debian-includes" {
			if _, err := os.Stat("/etc/debian_version"); err != nil {
				continue // @include is a patch of Debian's
			}
		}
		in, err := parse(t, string(text)).Insert(ours)
		if err != nil {
			t.Fatal(err)
		}
		files[name], files["edited-"+name] = string(text), string(in.Bytes())
	}
	for name, verdict := range libpam(t, files) {
		if len(verdict.complaints) > 0 {
			t.Errorf("%s: %s", name, verdict.complaints)
		}
	}
}

func TestWeRefuseWhatLibpamRefuses(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	files, refused := map[string]string{}, 0
	for i := range 3000 {
		text := random(r)
		file, err := Parse([]byte(text))
		if err == nil && slices.ContainsFunc(file.Rules(), Rule.Includes) {
			continue // whether the other file is there is not the parser's business
		}
		if err != nil {
			refused++
		}
		files[fmt.Sprintf("f%d", i)] = text
	}
	if accepted := len(files) - refused; accepted < 300 || refused < 300 {
		t.Fatalf("%d files are accepted and %d refused: not a test of both", accepted, refused)
	}
	for name, verdict := range libpam(t, files) {
		text := files[name]
		file, err := Parse([]byte(text))
		switch {
		case err == nil && len(verdict.complaints) > 0:
			t.Errorf("accepted, but libpam says %s: %q", verdict.complaints, text)
		case err == nil:
			if got, want := verdict.modules, missing(file); !sameModules(got, want) {
				t.Errorf("libpam would load %q, not %q, for %q", got, want, text)
			}
		case len(verdict.complaints) == 0 && !stricter(err):
			t.Errorf("refused, but libpam accepts: %v: %q", err, text)
		}
	}
}

// missing are the modules that libpam complains about once for each, unless
// the rule is a silent one.
func missing(file *File) []string {
	var names, seen []string
	for _, rule := range file.Rules() {
		if slices.Contains(seen, rule.Module) {
			continue
		}
		seen = append(seen, rule.Module)
		if !rule.Silent {
			names = append(names, rule.Module)
		}
	}
	return names
}

func sameModules(paths, names []string) bool {
	return slices.EqualFunc(paths, names, func(path, name string) bool {
		name = strings.ReplaceAll(name, "\t", "?") // as verdict prints it
		return path == name || strings.HasSuffix(path, "/security/"+name)
	})
}

// stricter are the refusals of what some releases of libpam, or none in truth,
// can work with.
func stricter(err error) bool {
	for _, reason := range []string{"releases of Linux-PAM differ", "carriage return", "@include takes", "no number of rules", "there is no ]"} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}
