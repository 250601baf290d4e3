// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package deb

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/debian"
)

// suites are all that the package is built for.
var suites = []string{"bullseye", "bookworm", "trixie", "sid"}

// unpacked returns the directory with a package's files.
func unpacked(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	host(t, "dpkg-deb", "-x", file, dir)
	return dir
}

// host runs a command of this machine that must not fail.
func host(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// directory is PAM's: before Debian 12 /lib is one of its own.
func directory(suite string) string {
	if suite == "bullseye" {
		return "/lib/x86_64-linux-gnu/security/"
	}
	return "/usr/lib/x86_64-linux-gnu/security/"
}

const (
	command = "/usr/sbin/pam-cockpit-cert"
	session = "/usr/libexec/pam_cockpit_cert/cockpit-cert-session"
	ticket  = "/usr/libexec/pam_cockpit_cert/cockpit-cert-ticket"
	docs    = "/usr/share/doc/libpam-cockpit-cert/"
)

func TestContents(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			dir := unpacked(t, debian.Package(t, debian.Build(t, suite)))
			want := []string{
				"-rw-r--r-- " + directory(suite) + "pam_cockpit_cert.so",
				"-rwxr-xr-x " + command,
				"-rwxr-xr-x " + session,
				"-rwxr-xr-x " + ticket,
				"-rw-r--r-- /usr/lib/systemd/system/system-cockpithttps.slice.d/10-pam_cockpit_cert.conf",
				"-rw-r--r-- /usr/share/man/man8/pam_cockpit_cert.8.gz",
				"-rw-r--r-- /usr/share/man/man8/pam-cockpit-cert.8.gz",
				"-rw-r--r-- /usr/share/man/man8/cockpit-cert-session.8.gz",
				"-rw-r--r-- /usr/share/bash-completion/completions/pam-cockpit-cert",
				"-rw-r--r-- /usr/share/zsh/vendor-completions/_pam-cockpit-cert",
				"-rw-r--r-- /usr/share/fish/vendor_completions.d/pam-cockpit-cert.fish",
				"-rw-r--r-- " + docs + "README.Debian",
				"-rw-r--r-- " + docs + "README.md.gz",
				"-rw-r--r-- " + docs + "changelog.gz",
				"-rw-r--r-- " + docs + "copyright",
				"-rw-r--r-- /usr/share/pam_cockpit_cert/selinux/pam_cockpit_cert.te",
				"-rw-r--r-- /usr/share/lintian/overrides/libpam-cockpit-cert",
			}
			for _, name := range []string{"rule", "cockpit.arch", "cockpit.debian", "cockpit.fedora", "cockpit.suse"} {
				want = append(want, "-rw-r--r-- /usr/share/pam_cockpit_cert/pam.d/"+name)
			}
			for _, name := range []string{"certlogin.css", "certlogin.js", "index.html", "manifest.json", "po.de.js", "po.manifest.de.js"} {
				want = append(want, "-rw-r--r-- /usr/share/cockpit/certlogin/"+name)
			}
			var got []string
			err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				info, err := entry.Info()
				if err == nil {
					got = append(got, fmt.Sprint(info.Mode(), " ", strings.TrimPrefix(path, dir)))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("the package has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestRelations(t *testing.T) {
	for _, suite := range suites {
		file := debian.Package(t, debian.Build(t, suite))
		for _, want := range [][2]string{
			{"Depends", "sssd-dbus"}, {"Depends", "libgssapi-krb5-2"}, {"Recommends", "cockpit-ws"}, {"Enhances", "cockpit-ws"},
		} {
			if got := host(t, "dpkg-deb", "-f", file, want[0]); !strings.Contains(", "+got, ", "+want[1]) {
				t.Errorf("%s: %s: %s lacks %s", suite, want[0], got, want[1])
			}
		}
	}
}

// TestHardening: what dpkg-buildflags asks for is in everything that runs.
func TestHardening(t *testing.T) {
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			dir := unpacked(t, debian.Package(t, debian.Build(t, suite)))
			for _, path := range []string{directory(suite) + "pam_cockpit_cert.so", command, session, ticket} {
				for _, complaint := range soft(t, filepath.Join(dir, path)) {
					t.Errorf("%s: %s", path, complaint)
				}
			}
			// What has C of ours.
			for _, path := range []string{directory(suite) + "pam_cockpit_cert.so", ticket} {
				symbols := host(t, "readelf", "--wide", "--dyn-syms", filepath.Join(dir, path))
				for _, symbol := range []string{"__stack_chk_fail", "_chk@"} {
					if !strings.Contains(symbols, symbol) {
						t.Errorf("%s calls no %s: stack protector or fortification is off", path, symbol)
					}
				}
			}
		})
	}
}

// soft says what an attacker could use in a program or library.
func soft(t *testing.T, path string) (complaints []string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if file.Type != elf.ET_DYN {
		complaints = append(complaints, "is at a fixed address")
	}
	relro := false
	for _, p := range file.Progs {
		relro = relro || p.Type == elf.PT_GNU_RELRO
		if p.Type == elf.PT_GNU_STACK && p.Flags&elf.PF_X != 0 {
			complaints = append(complaints, "has an executable stack")
		}
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && p.Flags&elf.PF_W != 0 {
			complaints = append(complaints, "has a segment that is writable and executable")
		}
	}
	if !relro {
		complaints = append(complaints, "has relocations that stay writable")
	}
	flags := func(tag elf.DynTag) (all uint64) {
		values, err := file.DynValue(tag)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			all |= v
		}
		return all
	}
	if flags(elf.DT_FLAGS)&uint64(elf.DF_BIND_NOW) == 0 && flags(elf.DT_FLAGS_1)&uint64(elf.DF_1_NOW) == 0 {
		complaints = append(complaints, "is bound lazily")
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH, elf.DT_TEXTREL} {
		if values, err := file.DynValue(tag); err != nil || len(values) > 0 {
			complaints = append(complaints, fmt.Sprint("has ", tag, err))
		}
	}
	return complaints
}

// TestDebugSymbols are in a package of their own, and belong to these files.
func TestDebugSymbols(t *testing.T) {
	dir := debian.Build(t, "trixie")
	found, err := filepath.Glob(filepath.Join(dir, "libpam-cockpit-cert-dbgsym_*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages of debug symbols: %v, %v", found, err)
	}
	files, symbols := unpacked(t, debian.Package(t, dir)), unpacked(t, found[0])
	for _, path := range []string{directory("trixie") + "pam_cockpit_cert.so", command, session} {
		id := buildID(t, filepath.Join(files, path))
		file, err := elf.Open(filepath.Join(symbols, "usr/lib/debug/.build-id", id[:2], id[2:]+".debug"))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		data, err := file.DWARF()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if entry, err := data.Reader().Next(); err != nil || entry == nil {
			t.Errorf("%s: no debugging information: %v", path, err)
		}
		file.Close()
	}
}

func buildID(t *testing.T, path string) string {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	section := file.Section(".note.gnu.build-id")
	if section == nil {
		t.Fatalf("%s has no build ID", path)
	}
	note, err := section.Data()
	if err != nil || len(note) <= 16 {
		t.Fatalf("%s: a build ID of %d bytes: %v", path, len(note), err)
	}
	return fmt.Sprintf("%x", note[16:])
}

// TestCopyrightNamesWhatIsLinked asks the programs themselves.
func TestCopyrightNamesWhatIsLinked(t *testing.T) {
	dir := unpacked(t, debian.Package(t, debian.Build(t, "trixie")))
	copyright, err := os.ReadFile(filepath.Join(dir, docs, "copyright"))
	if err != nil {
		t.Fatal(err)
	}
	linked := 0
	for _, path := range []string{directory("trixie") + "pam_cockpit_cert.so", command, session} {
		info, err := buildinfo.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for _, module := range info.Deps {
			linked++
			name, _, _ := strings.Cut(module.Path, "/v")
			if strings.HasPrefix(name, "golang.org/x/") {
				name = "golang.org/x"
			}
			if !bytes.Contains(copyright, []byte("\nFiles: vendor/"+name+"/*\n")) {
				t.Errorf("%s has %s, which debian/copyright does not name", path, module.Path)
			}
		}
	}
	if linked == 0 {
		t.Error("no library is linked: this test tests nothing")
	}
}

// TestCompletionsAreScripts: what the command printed is what shells read.
func TestCompletionsAreScripts(t *testing.T) {
	dir := unpacked(t, debian.Package(t, debian.Build(t, "trixie")))
	host(t, "bash", "-n", filepath.Join(dir, "usr/share/bash-completion/completions/pam-cockpit-cert"))
	text, err := os.ReadFile(filepath.Join(dir, "usr/share/zsh/vendor-completions/_pam-cockpit-cert"))
	if err != nil || !bytes.HasPrefix(text, []byte("#compdef pam-cockpit-cert\n")) {
		t.Errorf("zsh would not find its completions: %v", err)
	}
}
