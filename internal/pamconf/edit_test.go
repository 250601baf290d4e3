// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var ours = Spelling{Module: Module}

func parse(t testing.TB, text string) *File {
	t.Helper()
	file, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%q is refused: %v", text, err)
	}
	return file
}

// services are service files of distributions, and some edited by administrators.
// Ubuntu 20.04 has Debian 11's, Ubuntu 24.04 and later have Debian 13's, and RHEL 8's
// later releases, 9 and 10 have Fedora's.
func services(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/services/*")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d service files: %v", len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = text
	}
	return files
}

func TestTheRuleGoesInAndComesOutOfEveryServiceFile(t *testing.T) {
	for name, text := range services(t) {
		t.Run(name, func(t *testing.T) {
			file := parse(t, string(text))
			if got := file.Bytes(); !bytes.Equal(got, text) {
				t.Fatalf("parsing changed the text:\n%s", got)
			}
			in, err := file.Insert(ours)
			if err != nil {
				t.Fatal(err)
			}
			if first := in.FirstAuth(); !first.Ours() || !in.Spelled(*first) {
				t.Errorf("the first auth rule is not ours: %+v", first)
			}
			out, err := in.Remove(func(rule Rule) bool { return rule.Line == in.FirstAuth().Line })
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Bytes(); !bytes.Equal(got, text) {
				t.Errorf("in and out again changed the text to\n%s", got)
			}
			none, err := in.Remove(Rule.Ours)
			if err != nil {
				t.Fatal(err)
			}
			if len(none.Ours()) != 0 {
				t.Errorf("removing left %+v", none.Ours())
			}
		})
	}
}

func TestTheReferenceFilesAreWhatInstallMakes(t *testing.T) {
	files := services(t)
	for family, shipped := range map[string]string{"debian": "debian-13", "fedora": "fedora", "suse": "suse", "arch": "arch"} {
		want, err := parse(t, string(files[shipped])).Insert(ours)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../pam.d", "cockpit."+family))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("pam.d/cockpit.%s should be\n%s", family, want.Bytes())
		}
	}
	rule, err := os.ReadFile("../../pam.d/rule")
	if err != nil {
		t.Fatal(err)
	}
	if string(rule) != ours.String()+"\n" {
		t.Errorf("pam.d/rule should be %s", ours)
	}
}

func TestOnlyARuleAsInstallSpellsItCountsAsInstalled(t *testing.T) {
	for line, want := range map[string]bool{
		ours.String():                                         true,
		ours.String() + " debug timeout=3":                    true,
		ours.String() + "x":                                   false,
		strings.Replace(ours.String(), " [", "  [", 1):        false,
		strings.Replace(ours.String(), "-auth", "auth", 1):    false,
		"auth sufficient pam_cockpit_cert.so":                 false,
		Spelling{Module: "x/" + Module}.String():              true,
		strings.Replace(ours.String(), " pam", " \\\npam", 1): false,
	} {
		file := parse(t, line+"\n")
		if got := file.Spelled(file.Rules()[0]); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestAServiceWithoutAuthRulesIsLeftToOther(t *testing.T) {
	if _, err := parse(t, "account required pam_permit.so\n").Insert(ours); !errors.Is(err, ErrNoAuth) {
		t.Errorf("got %v", err)
	}
}

func TestARuleThatOthersJumpOverIsNotTakenOut(t *testing.T) {
	rule := ours.String() + "\n"
	for _, test := range []struct {
		name, text string
		line       int // of the rule that jumps; 0 if the rule may be removed
	}{
		{"a jump that ends after it", "auth [default=1] a.so\n" + rule + "auth required b.so\n", 1},
		{"a jump that ends before it", "auth [default=1] a.so\nauth required b.so\n" + rule, 0},
		{"a jump in another stack", "session [default=2] a.so\n" + rule, 0},
		{"a jump over an include", "auth [default=2] a.so\nauth include b\nauth required c.so\n" + rule, 1},
		{"a jump over Debian's include", "auth [default=1 ok=2] a.so\n@include b\n" + rule, 1},
		{"a jump after it", rule + "auth [default=1] a.so\nauth required b.so\n", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.ReplaceAll(test.text, "default=1 ok", "success=1 default")
			_, err := parse(t, text).Remove(Rule.Ours)
			var refused *SyntaxError
			switch {
			case test.line == 0 && err != nil:
				t.Errorf("refused: %v", err)
			case test.line > 0 && (!errors.As(err, &refused) || refused.Line != test.line):
				t.Errorf("got %v, want a refusal for line %d", err, test.line)
			}
		})
	}
}

func TestRespellingChangesWhatItIsAskedTo(t *testing.T) {
	const other = "pam_cockpit_cert/" + Module
	for _, test := range []struct {
		name, text, module string
		debug              bool
		want               string
	}{
		{"nothing", "auth\toptional pam_cockpit_cert.so\t# x", Module, false, "auth\toptional pam_cockpit_cert.so\t# x"},
		{"another path", "auth optional pam_cockpit_cert.so timeout=3\n", other, false, "auth optional " + other + " timeout=3\n"},
		{"debug on", "auth optional pam_cockpit_cert.so timeout=3\n", Module, true, "auth optional pam_cockpit_cert.so debug timeout=3\n"},
		{"debug stays on", "auth optional pam_cockpit_cert.so timeout=3 debug\n", Module, true, "auth optional pam_cockpit_cert.so timeout=3 debug\n"},
		{"debug off", "auth optional pam_cockpit_cert.so x=debug debug debugger  debug # debug\n", Module, false, "auth optional pam_cockpit_cert.so x=debug debugger # debug\n"},
		{"debug off over two lines", "auth optional \\\n pam_cockpit_cert.so debug \\\n timeout=3", Module, false, "auth optional \\\n pam_cockpit_cert.so \\\n timeout=3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const before, after = "auth required a.so\n", "account required b.so\n"
			text := before + test.text
			if strings.HasSuffix(test.text, "\n") {
				text += after
				test.want += after
			}
			file := parse(t, text)
			got, err := file.Respell(file.Ours()[0], test.module, test.debug)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Bytes()) != before+test.want {
				t.Errorf("got\n%s\nwant\n%s", got.Bytes(), before+test.want)
			}
		})
	}
}

func TestACommentedOutRuleIsSeen(t *testing.T) {
	for text, want := range map[string]int{
		"#" + ours.String() + "\n":                               1,
		"\n ## auth sufficient pam_cockpit_cert.so debug\n":      2,
		"# see pam_cockpit_cert.so\n":                            0,
		"auth required a.so # auth optional pam_cockpit_cert.so": 0,
		ours.String(): 0,
	} {
		if got := parse(t, text).CommentedOut(); got != want {
			t.Errorf("%q: line %d, want %d", text, got, want)
		}
	}
}
