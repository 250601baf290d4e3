// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"bufio"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// verdict is the real libpam's result for a service file.
type verdict struct {
	complaints []string // the errors in the file
	modules    []string // the modules that it could not load, each followed by "): " and the reason
}

var included = regexp.MustCompile(`((?:include|substack)[ \t]+)([a-z])`)

// libpam reads service files with the real libpam, in a separate process: some
// releases crash at some files that they reject.
type libpam struct {
	program, confdir string

	process   *exec.Cmd
	questions io.WriteCloser
	answers   *bufio.Reader
}

func newLibpam(t testing.TB) *libpam {
	t.Helper()
	dir := t.TempDir()
	l := &libpam{program: filepath.Join(dir, "verdict"), confdir: filepath.Join(dir, "pam.d")}
	if out, err := exec.Command("cc", "-Wall", "-Wextra", "-Werror", "-o", l.program, "testdata/verdict.c", "-lpam").CombinedOutput(); err != nil {
		t.Skipf("needs a C compiler and libpam0g-dev: %s", out)
	}
	if err := os.Mkdir(l.confdir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other", "common", "common-auth", "common-account", "common-password", "common-session",
		"password-auth", "postlogin", "postlogin-auth", "postlogin-session", "system-remote-login"} {
		l.write(t, name, "auth required pam_permit.so\naccount required pam_permit.so\npassword required pam_permit.so\nsession required pam_permit.so\n")
	}
	l.start(t)
	t.Cleanup(func() { _ = l.end() })
	return l
}

func (l *libpam) start(t testing.TB) {
	t.Helper()
	l.process = exec.Command(l.program, l.confdir)
	l.process.Stderr = os.Stderr
	questions, err := l.process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := l.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.process.Start(); err != nil {
		t.Fatal(err)
	}
	l.questions, l.answers = questions, bufio.NewReader(answers)
}

func (l *libpam) end() error {
	l.questions.Close()
	return l.process.Wait()
}

func (l *libpam) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.confdir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// read returns libpam's result for a service file.
func (l *libpam) read(t testing.TB, name, text string) verdict {
	t.Helper()
	// libpam looks for included files in /etc/pam.d, whatever the directory.
	l.write(t, name, included.ReplaceAllString(text, "${1}"+l.confdir+"/${2}"))
	if _, err := fmt.Fprintln(l.questions, name); err != nil {
		t.Fatal(err)
	}
	line, err := l.answers.ReadString('\n')
	if err != nil {
		err := l.end()
		l.start(t)
		return verdict{complaints: []string{fmt.Sprintf("its process ends with %v", err)}}
	}
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	var v verdict
	for _, said := range fields[1 : len(fields)-1] {
		_, module, missing := strings.Cut(said, "unable to dlopen(")
		switch {
		case missing:
			v.modules = append(v.modules, module)
		case strings.Contains(said, "adding faulty module"):
		case strings.Contains(said, "unable to resolve symbol"): // of an installed module that is for other types
		default:
			v.complaints = append(v.complaints, said)
		}
	}
	if result := fields[len(fields)-1]; result != "0" {
		v.complaints = append(v.complaints, "pam_start returned "+result)
	}
	return v
}

func TestLibpamReadsEveryServiceFileBeforeAndAfter(t *testing.T) {
	libpam := newLibpam(t)
	for name, text := range services(t) {
		if name == "debian-includes" {
			if _, err := os.Stat("/etc/debian_version"); err != nil {
				continue // only Debian's libpam knows @include
			}
		}
		in, err := parse(t, string(text)).Insert(ours)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{name: string(text), "edited-" + name: string(in.Bytes())} {
			if verdict := libpam.read(t, name, text); len(verdict.complaints) > 0 {
				t.Errorf("%s: %s", name, verdict.complaints)
			}
		}
	}
}

func TestWeRefuseWhatLibpamRefuses(t *testing.T) {
	libpam := newLibpam(t)
	r := rand.New(rand.NewSource(2))
	accepted, refused := 0, 0
	for range 3000 {
		switch libpam.compare(t, random(r)) {
		case nil:
			accepted++
		default:
			refused++
		}
	}
	if accepted < 300 || refused < 300 {
		t.Fatalf("%d files are accepted and %d refused: not a test of both", accepted, refused)
	}
}

func FuzzWeRefuseWhatLibpamRefuses(f *testing.F) {
	for _, text := range services(f) {
		f.Add(string(text))
	}
	for _, module := range []string{"none/", ".so", "?", "a/?.b", ".", "..", "[]", "[ ]", "none$ISA.so", "/none/.x", "pam_limits.so"} {
		f.Add("auth required " + module + "\n")
	}
	libpam := newLibpam(f)
	f.Fuzz(func(t *testing.T, text string) { libpam.compare(t, text) })
}

// compare fails if this package and libpam read a file differently, and returns why
// this package rejects it.
func (l *libpam) compare(t testing.TB, text string) error {
	t.Helper()
	file, err := Parse([]byte(text))
	if err == nil && slices.ContainsFunc(file.Rules(), Rule.Includes) {
		return nil // the parser does not check whether the other file exists
	}
	verdict := l.read(t, "compared", text)
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
	return err
}

// missing returns the modules about which libpam logs an error, once for each rule
// that is not silent.
func missing(file *File) []string {
	var names, seen []string
	for _, rule := range file.Rules() {
		if slices.Contains(seen, rule.Module) {
			continue
		}
		seen = append(seen, rule.Module)
		if !rule.Silent && !installed(rule.Module) {
			names = append(names, rule.Module)
		}
	}
	return names
}

// installed reports whether a module is one of this machine's own.
func installed(module string) bool {
	for _, dir := range []string{"/lib/security", "/lib64/security", "/lib/*-linux-*/security"} {
		dirs, _ := filepath.Glob(dir)
		for _, dir := range dirs {
			if strings.HasPrefix(module, "/") {
				dir = ""
			}
			if info, err := os.Stat(dir + "/" + module); err == nil && info.Mode().IsRegular() && strings.HasSuffix(module, ".so") {
				return true
			}
		}
	}
	return false
}

func sameModules(said, names []string) bool {
	return slices.EqualFunc(said, names, func(said, name string) bool {
		name = strings.ReplaceAll(name, "\t", "?") + "): " // as verdict prints it
		return strings.HasPrefix(said, name) || strings.Contains(said, "/security/"+name)
	})
}

// stricter reports whether the error is one for a file that some releases of libpam
// accept.
func stricter(err error) bool {
	for _, reason := range []string{"releases of Linux-PAM differ", "carriage return", "@include takes", "not a number of rules", "there is no ]", "a NUL byte"} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}
