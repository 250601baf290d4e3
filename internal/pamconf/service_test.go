// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/state"
	"pam_cockpit_cert/internal/testutil/rootfs"
)

func system(t *testing.T, files map[string]string) Service {
	return Service{Root: rootfs.New(t, files), Name: "cockpit"}
}

const service = ConfigDir + "/cockpit"

func (s Service) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s Service) installed(t *testing.T, options InstallOptions) Report {
	t.Helper()
	report, err := s.Install(options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestInstallTwiceIsOnceAndRemoveIsItsUndoing(t *testing.T) {
	names, err := filepath.Glob("testdata/services/*")
	if err != nil || len(names) < 10 {
		t.Fatalf("%v: %v", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			had := len(file.Ours()) > 0
			s := system(t, map[string]string{service: string(text)})
			if report := s.installed(t, InstallOptions{}); report.Changed == had {
				t.Errorf("%+v", report)
			}
			once := s.read(t, service)
			if report := s.installed(t, InstallOptions{}); report.Changed || s.read(t, service) != once {
				t.Errorf("a second time: %+v\n%s", report, s.read(t, service))
			}
			report, err := s.Remove(false)
			if err != nil || !report.Changed {
				t.Fatalf("%+v: %v", report, err)
			}
			after := s.read(t, service)
			if !had && after != string(text) {
				t.Errorf("it became\n%s", after)
			}
			if rest, err := Parse([]byte(after)); err != nil || len(rest.Ours()) > 0 {
				t.Errorf("our rules are left in\n%s%v", after, err)
			}
			if report, err := s.Remove(false); err != nil || report.Changed {
				t.Errorf("removed a second time: %+v: %v", report, err)
			}
		})
	}
}

func TestAVendorsServiceIsIncludedUntilTheRuleIsRemoved(t *testing.T) {
	const plain = "auth required pam_unix.so\n"
	for _, dir := range VendorDirs {
		s := system(t, map[string]string{dir + "/cockpit": plain})
		s.installed(t, InstallOptions{OnceFor: "1"})
		if got := s.read(t, service); !strings.HasSuffix(got, string(Include(dir+"/cockpit"))) {
			t.Errorf("%s: it is\n%s", dir, got)
		}
		if got := s.read(t, dir+"/cockpit"); got != plain {
			t.Errorf("the vendor's became\n%s", got)
		}
		if _, err := s.Remove(false); err != nil {
			t.Fatal(err)
		}
		report := s.installed(t, InstallOptions{OnceFor: "1"})
		if _, err := os.Stat(filepath.Join(s.Root, service)); !errors.Is(err, fs.ErrNotExist) || report.Changed || !strings.Contains(report.Message, "the rule was removed") {
			t.Errorf("%+v: %v", report, err)
		}
		if report := s.installed(t, InstallOptions{OnceFor: "2"}); !report.Changed {
			t.Errorf("for the vendor's next version: %+v", report)
		}
	}
	// The file in /etc has precedence over both, and the first vendor's over the second.
	s := system(t, map[string]string{service: plain, VendorDirs[0] + "/cockpit": plain, VendorDirs[1] + "/cockpit": plain})
	s.installed(t, InstallOptions{})
	if got := s.read(t, service); !strings.HasSuffix(got, plain) {
		t.Errorf("it is\n%s", got)
	}
}

func TestAVendorsServiceThatHasTheRuleIsLeftAlone(t *testing.T) {
	s := system(t, map[string]string{VendorDirs[0] + "/cockpit": Spelling{Module: Module}.String() + "\nauth required pam_unix.so\n"})
	report := s.installed(t, InstallOptions{})
	if report.Changed || report.Line != 1 || !strings.Contains(report.Message, "the vendor's") {
		t.Errorf("%+v", report)
	}
	if _, err := os.Stat(filepath.Join(s.Root, service)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file of our own: %v", err)
	}
}

func TestAVendorsServiceThatIsBrokenIsNotIncluded(t *testing.T) {
	s := system(t, map[string]string{VendorDirs[0] + "/cockpit": "auth\n"})
	if _, err := s.Install(InstallOptions{}); err == nil || !strings.Contains(err.Error(), VendorDirs[0]+"/cockpit is left alone: line 1") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Root, service)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file of our own: %v", err)
	}
}

// A link in an image does not lead to a file of the system in which it is mounted.
func TestLinksOfARootDoNotLeaveIt(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "cockpit")
	const plain = "auth required pam_unix.so\n"
	if err := os.WriteFile(outside, []byte(plain), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []struct{ name, target string }{
		{service, outside},
		{service, "../../../../../../../../../../../../.." + outside},
		{ConfigDir, filepath.Dir(outside)},
		{"/etc", filepath.Dir(filepath.Dir(outside))},
	} {
		s := Service{Root: t.TempDir(), Name: "cockpit"}
		path := filepath.Join(s.Root, link.name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(link.target, path)); err != nil {
			t.Fatal(err)
		}
		if report, err := s.Install(InstallOptions{}); err == nil {
			t.Errorf("%v: %+v", link, report)
		}
		if text, err := os.ReadFile(outside); err != nil || string(text) != plain {
			t.Fatalf("%v: outside, there is %q: %v", link, text, err)
		}
	}
	// The record of install scripts stays inside the root as well.
	s := system(t, map[string]string{service: plain, "/var/lib/x": ""})
	dir := t.TempDir()
	if err := os.Symlink(dir, state.Path(s.Root, "")); err != nil {
		t.Fatal(err)
	}
	s.installed(t, InstallOptions{OnceFor: "1"})
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("outside, there are %v: %v", entries, err)
	}
	if report := s.installed(t, InstallOptions{OnceFor: "1"}); report.Changed {
		t.Errorf("%+v", report)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	s := system(t, map[string]string{service: "auth required pam_unix.so\n"})
	for _, options := range []InstallOptions{
		{Module: "pam_unix.so"}, {Module: "x y/pam_cockpit_cert.so"}, {Module: "pam_cockpit_cert.so\n"}, {Module: "[x]/pam_cockpit_cert.so"},
		{Module: "#/pam_cockpit_cert.so"}, {Module: "pam_cockpit_cert.so/"}, {OnceFor: "a\nb"}, {OnceFor: "\x00"}, {OnceFor: strings.Repeat("x", 1001)},
	} {
		if report, err := s.Install(options); err == nil {
			t.Errorf("%+v is accepted: %+v", options, report)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "A", "a b", "a\n", ".x"} {
		if _, err := (Service{Root: s.Root, Name: name}).Install(InstallOptions{}); err == nil {
			t.Errorf("the service %q is accepted", name)
		}
	}
	if got := s.read(t, service); got != "auth required pam_unix.so\n" {
		t.Errorf("it became\n%s", got)
	}
}
