// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"errors"
	"math/rand"
	"strings"
	"testing"
)

func parse(t testing.TB, text string) *Config {
	t.Helper()
	file, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatalf("%q is refused: %v", text, err)
	}
	return file
}

func TestSettingsAreReadAsCockpitReadsThem(t *testing.T) {
	const text = "# x\n[webservice]\n  Clientcertauthentication\t=  yes\n[Log]\nFatal=\n[WebService]\nOrigins = a # b \nclientCertAuthentication=true "
	for _, test := range []struct {
		section, key, value string
		line                int
	}{
		{"WebService", "ClientCertAuthentication", "true ", 8},
		{"webservice", "origins", "a # b ", 7},
		{"log", "fatal", "", 5},
		{"log", "origins", "", 0},
	} {
		if value, line := parse(t, text).Get(test.section, test.key); value != test.value || line != test.line {
			t.Errorf("%s.%s is %q in line %d", test.section, test.key, value, line)
		}
	}
	for value, want := range map[string]bool{"yes": true, "True": true, "1": true, "true ": false, "on": false, "": false, "no": false} {
		if IsTrue(value) != want {
			t.Errorf("%q: %v", value, !want)
		}
	}
}

func TestWhatCockpitIgnoresIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, text string
		line       int
	}{
		{"a setting before any section", "\nA = b\n", 2},
		{"a line that is nothing", "[x]\nwhat\n", 2},
		{"a key with an underscore", "[x]\na_b = c\n", 2},
		{"a semicolon for a comment", "[x]\n; y\n", 2},
		{"an unended section", "[x\n", 1},
		{"a NUL byte", "[x]\nA = \x00\n", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(test.text))
			var refused *ConfigSyntaxError
			if !errors.As(err, &refused) || refused.Line != test.line {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestASettingGoesWhereItBelongs(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"an empty file", "", "[WebService]\nX = 1\n"},
		{"another section", "[Log]\nA = b\n", "[Log]\nA = b\n\n[WebService]\nX = 1\n"},
		{"no last newline", "[Log]\nA = b", "[Log]\nA = b\n\n[WebService]\nX = 1"},
		{"the section is there", "[webservice]\n# c\nA = b\n\n[Log]\n", "[webservice]\nX = 1\n# c\nA = b\n\n[Log]\n"},
		{"the section is the end", "[WebService]", "[WebService]\nX = 1"},
		{"the setting is there", "[WebService]\n x=  0\nY = 2\n", "[WebService]\n x=  1\nY = 2\n"},
		{"the setting is there twice", "[WebService]\nX = 3\nx=0", "[WebService]\nX = 3\nx=1"},
		{"the setting has the value", "[webservice]\nx = 1", "[webservice]\nx = 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, change := parse(t, test.text).Set("WebService", "X", "1")
			if got := string(file.Bytes()); got != test.want {
				t.Errorf("got %q", got)
			}
			if (change == nil) != (test.text == test.want) {
				t.Errorf("the change is %+v", change)
			}
		})
	}
}

func TestUndoKeepsWhatTheAdministratorChanged(t *testing.T) {
	file, change := parse(t, "").Set("WebService", "X", "1")
	mine := strings.Replace(string(file.Bytes()), "1", "2", 1)
	if got, undone := parse(t, mine).Undo(*change); undone || string(got.Bytes()) != mine {
		t.Errorf("undone: %v, %q", undone, got.Bytes())
	}
	more := string(file.Bytes()) + "Y = 2\n"
	if got, undone := parse(t, more).Undo(*change); !undone || string(got.Bytes()) != "[WebService]\nY = 2\n" {
		t.Errorf("undone: %v, %q", undone, got.Bytes())
	}
}

// undoneToTheByte checks that Undo restores every byte of a file after Set.
func undoneToTheByte(t *testing.T, text string) {
	file, err := ParseConfig([]byte(text))
	if err != nil {
		return
	}
	if got := string(file.Bytes()); got != text {
		t.Fatalf("parsing changed %q to %q", text, got)
	}
	first, one := file.Set("WebService", "ClientCertAuthentication", "true")
	second, two := first.Set("tls-cert", "Command", "/x")
	for _, want := range [][3]string{{"WebService", "ClientCertAuthentication", "true"}, {"tls-cert", "Command", "/x"}} {
		if got, _ := second.Get(want[0], want[1]); got != want[2] {
			t.Fatalf("%q: %s is %q", second.Bytes(), want[1], got)
		}
	}
	if again, change := second.Set("tls-cert", "Command", "/x"); change != nil || again != second {
		t.Fatalf("%q: set again, it changes", second.Bytes())
	}
	back := second
	for _, change := range []*Change{two, one} {
		if change != nil {
			back, _ = back.Undo(*change)
		}
	}
	if got := string(back.Bytes()); got != text {
		t.Fatalf("set and undone made %q of %q", got, text)
	}
}

func TestUndoneToTheByte(t *testing.T) {
	pieces := []string{"[WebService]", "[tls-cert]", "[TLS-Cert]", "[Log]", "ClientCertAuthentication = true", "clientcertauthentication=no",
		"Command = /y", "command=/x", "A = b", "# c", " ", "\t", "\r", "\n", "\n", "\n", "\n", "\n\n", "\v"}
	r := rand.New(rand.NewSource(1))
	accepted := 0
	for range 50000 {
		var b strings.Builder
		for range r.Intn(16) {
			b.WriteString(pieces[r.Intn(len(pieces))])
			if r.Intn(2) == 0 {
				b.WriteByte('\n')
			}
		}
		if _, err := ParseConfig([]byte(b.String())); err == nil {
			accepted++
		}
		undoneToTheByte(t, b.String())
	}
	if accepted < 1000 {
		t.Errorf("only %d files were accepted", accepted)
	}
}

func FuzzUndo(f *testing.F) {
	for _, text := range []string{"", "[WebService]", "[tls-cert]\nCommand=/x\n", "# c\n[Log]\nA = b"} {
		f.Add(text)
	}
	f.Fuzz(undoneToTheByte)
}
