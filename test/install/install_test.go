// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package install tests `make install` with its variables, for packagers.
package install

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// built is the build directory of these tests; files with a path compiled in are
// built again for each place.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "install-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(status)
}

// invoke runs make in a directory.
func invoke(dir string, environment []string, arguments ...string) (string, error) {
	c := exec.Command("make", append([]string{"-s", "-C", dir}, arguments...)...)
	// Without the variables of the make that runs this test.
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=") })
	c.Env = append(c.Env, environment...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// command runs make in this source, which must not fail.
func command(t *testing.T, arguments ...string) {
	t.Helper()
	if out, err := invoke("../..", nil, arguments...); err != nil {
		t.Fatalf("make %v: %v\n%s", arguments, err, out)
	}
}

// installed returns the files below a directory, and which of them can be executed.
func installed(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		files[strings.TrimPrefix(path, dir)] = info.Mode()&0o111 != 0
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestVariables installs what was built, without Go, as sudo's PATH may have none; and
// to directories that no distribution has, for which some is built again.
func TestVariables(t *testing.T) {
	build, dir, noGo := "BUILD="+built, t.TempDir(), t.TempDir()
	command(t, build, "all")
	edit(t, noGo+"/go", "#!/bin/sh\nexit 1\n")
	if err := os.Chmod(noGo+"/go", 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := invoke("../..", []string{"PATH=" + noGo + ":" + os.Getenv("PATH")}, build, "install", "DESTDIR="+t.TempDir()); err != nil {
		t.Errorf("make install after make, without Go: %v\n%s", err, out)
	}
	command(t, build, "install", "DESTDIR="+dir, "PREFIX=/opt/p", "PAMDIR=/opt/pam", "MANDIR=/opt/man", "LIBEXECDIR=/opt/libexec", "UNITDIR=/opt/units")
	files := installed(t, dir)
	for path, executable := range map[string]bool{
		"/opt/pam/pam_cockpit_cert.so":                                    false,
		"/opt/libexec/pam_cockpit_cert/cockpit-cert-session":              true,
		"/opt/libexec/pam_cockpit_cert/cockpit-cert-ticket":               true,
		"/opt/p/sbin/pam-cockpit-cert":                                    true,
		"/opt/units/system-cockpithttps.slice.d/10-pam_cockpit_cert.conf": false,
		"/opt/man/man8/pam_cockpit_cert.8":                                false,
		"/opt/p/share/doc/pam_cockpit_cert/README.md":                     false,
		"/opt/p/share/cockpit/certlogin/manifest.json":                    false,
		"/opt/p/share/pam_cockpit_cert/pam.d/rule":                        false,
	} {
		if got, there := files[path]; !there || got != executable {
			t.Errorf("%s: there %v, executable %v, want %v; of %v", path, there, got, executable, files)
		}
	}
	for path := range files {
		if !strings.HasPrefix(path, "/opt/") {
			t.Errorf("%s is not where it was told", path)
		}
	}
	program, err := os.ReadFile(dir + "/opt/p/sbin/pam-cockpit-cert")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(program, []byte("/opt/libexec/pam_cockpit_cert/cockpit-cert-session")) {
		t.Error("pam-cockpit-cert enable would name another program than the one that is installed")
	}
}

// TestPlainMake checks that make alone, in a clean clone with an odd name, builds all
// that is installed.
func TestPlainMake(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "a clone, 1:2")
	if err := os.Mkdir(clone, 0o755); err != nil {
		t.Fatal(err)
	}
	machine.CopySource(t, clone)
	if out, err := invoke(clone, nil); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	files := installed(t, filepath.Join(clone, "build"))
	for path, executable := range map[string]bool{
		"/pam_cockpit_cert.so":               false,
		"/cockpit-cert-session":              true,
		"/cockpit-cert-ticket":               true,
		"/pam-cockpit-cert":                  true,
		"/completions/pam-cockpit-cert.bash": false,
		"/completions/pam-cockpit-cert.fish": false,
		"/completions/pam-cockpit-cert.zsh":  false,
		"/pam.d/rule":                        false,
	} {
		if got, there := files[path]; !there || got != executable {
			t.Errorf("build%s: there %v, executable %v; make built %v", path, there, got, files)
		}
	}
}

// TestUmask installs and uninstalls with a umask that gives other users no access.
func TestUmask(t *testing.T) {
	dir := t.TempDir()
	arguments := []string{"DESTDIR=" + dir, "BUILD=" + built, "PREFIX=/opt/p"}
	mask := syscall.Umask(0o077)
	out, err := invoke("../..", nil, append(arguments, "install")...)
	syscall.Umask(mask)
	if err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	err = filepath.WalkDir(dir+"/opt", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode()&0o444 != 0o444 || entry.IsDir() && info.Mode()&0o111 != 0o111 {
			t.Errorf("%s is %v: only its owner can use it", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	command(t, append(arguments, "uninstall")...)
	if left := installed(t, dir); len(left) > 0 {
		t.Errorf("make uninstall leaves %v", left)
	}
	for _, own := range []string{"/opt/p/libexec", "/opt/p/share/pam_cockpit_cert", "/opt/p/share/cockpit"} {
		if _, err := os.Stat(dir + own); err == nil {
			t.Errorf("make uninstall leaves the directory %s", own)
		}
	}
}

// TestTheRuleFindsTheModule checks that the rule has the module's file name if libpam
// looks for modules there, and otherwise its path.
func TestTheRuleFindsTheModule(t *testing.T) {
	for prefix, path := range map[string]string{"/usr": "", "/opt/p": "/opt/p/lib"} {
		dir := t.TempDir()
		command(t, "install", "DESTDIR="+dir, "BUILD="+built, "PREFIX="+prefix)
		if err := os.MkdirAll(dir+"/etc/pam.d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/etc/pam.d/cockpit", []byte("auth required pam_deny.so\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(dir+prefix+"/sbin/pam-cockpit-cert", "--root", dir, "pam", "install").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, file := range []string{"/etc/pam.d/cockpit", prefix + "/share/pam_cockpit_cert/pam.d/rule"} {
			text, err := os.ReadFile(dir + file)
			if err != nil {
				t.Fatal(err)
			}
			rule, _, _ := strings.Cut(string(text), "\n")
			_, module, _ := strings.Cut(rule, "] ")
			if path == "" && module != "pam_cockpit_cert.so" ||
				!strings.HasPrefix(module, path) || !strings.HasSuffix("/"+module, "/pam_cockpit_cert.so") {
				t.Errorf("PREFIX=%s: %s names the module %q", prefix, file, module)
			}
		}
	}
}

// TestAPackagesFilesStay checks that files of packages are neither overwritten nor
// removed, unless the administrator has diverted them.
func TestAPackagesFilesStay(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil || os.Getuid() != 0 {
		t.Skip("needs dpkg, and root")
	}
	dir := t.TempDir()
	prefix, database := filepath.Join(dir, "p"), filepath.Join(dir, "dpkg")
	file := prefix + "/security/pam_cockpit_cert.so"
	arguments := []string{"BUILD=" + built, "PREFIX=" + prefix, "PAMDIR=" + filepath.Dir(file)}
	// dpkg speaks the administrator's language.
	environment := []string{"DPKG_ADMINDIR=" + database, "LC_ALL=C.UTF-8", "LANGUAGE=de"}
	// pack installs a package with one file.
	pack := func(name, version, path string) {
		t.Helper()
		script := `cd "$1"
			mkdir -p "$2/info" "$2/updates" "$2/triggers"; >>"$2/status"; >>"$2/available"
			rm -rf package; mkdir -p package/DEBIAN "package$(dirname "$5")"
			echo "$3" >"package$5"
			printf '%s\n' "Package: $3" "Version: $4" 'Architecture: all' 'Maintainer: x <x@localhost>' 'Description: x' >package/DEBIAN/control
			dpkg-deb --root-owner-group -b package package.deb
			dpkg --admindir="$2" --log=/dev/null -i package.deb`
		if out, err := exec.Command("sh", "-euc", script, "sh", dir, database, name, version, path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	has := func(path, want string) {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || string(text) != want+"\n" {
			t.Errorf("%s of the package %s is now of %d bytes, %v", path, want, len(text), err)
		}
	}
	divert := func(arguments ...string) {
		t.Helper()
		c := exec.Command("dpkg-divert", append(arguments, "--add", file)...)
		c.Env = append(os.Environ(), environment...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}

	pack("theirs", "1", file)
	for _, more := range []string{"DESTDIR=", "DESTDIR=/"} {
		out, err := invoke("../..", environment, append(arguments, "install", more)...)
		if err == nil || !strings.Contains(out, file+" (theirs)") || !strings.Contains(out, "PREFIX=/usr/local") {
			t.Errorf("make install %s over a package's file: %v\n%s", more, err, out)
		}
		has(file, "theirs")
		if files := installed(t, prefix); len(files) != 1 {
			t.Errorf("refused, but %v are there", files)
		}
	}
	divert("--local", "--rename", "--divert", file+".theirs")
	if out, err := invoke("../..", environment, append(arguments, "install")...); err != nil {
		t.Errorf("with the package's file diverted: %v\n%s", err, out)
	}
	has(file+".theirs", "theirs")

	// A package replaces what was installed, with and then without the command.
	uninstall := append(arguments, "uninstall")
	program, rule := prefix+"/sbin/pam-cockpit-cert", prefix+"/share/pam_cockpit_cert/pam.d/rule"
	pack("ours", "1", program)
	out, err := invoke("../..", environment, uninstall...)
	if err == nil || !strings.Contains(out, program+" is a package's") {
		t.Errorf("make uninstall of a package's command: %v\n%s", err, out)
	}
	if files := installed(t, prefix); len(files) < 10 {
		t.Errorf("refused, but only %v are left", files)
	}
	has(program, "ours")
	pack("ours", "2", rule)
	if out, err := invoke("../..", environment, uninstall...); err != nil || !strings.Contains(out, rule+" (ours)") {
		t.Errorf("make uninstall beside a package's file: %v\n%s", err, out)
	}
	has(rule, "ours")
	if files := installed(t, prefix); len(files) != 2 {
		t.Errorf("of make install and a package's file, %v are left", files)
	}
}
