// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"math/rand"
	"strings"
	"testing"
)

// The parts of service files, and parts that break them.
var (
	types    = []string{"auth", "-auth", "AUTH", "account", "password", "session", "-session", "[auth]"}
	controls = []string{"required", "requisite", "sufficient", "optional", "Required", "[success=done default=ignore]",
		"[success=1 default=bad]", "[default=die]", "[]", "[success = okdefault=bad]", "[user_unknown=die\tignore=ignore]"}
	modules  = []string{"none_a.so", "none_b.so", "/none/c.so", "d/none.so", "[none e.so]", "none/pam_cockpit_cert.so"}
	nameless = []string{"none/", ".so", "?", "?.so", "none/.x", ".", "[]", "/"}
	words    = []string{"debug", "key=value", "[a b]", "[x\\]y]", "a[b", "# auth required f.so"}
	wrong    = []string{"@include", "bogus", "-", "\r", "include", "[success=ok", "[success=0]", "[nonsense=ok]", "[success=ok\\] x]",
		"[", "]", "\\", "#", "#\\", "\n", "\n\n", "\\\n", " \\\n", "\\ \n", "auth", "required", "none_g.so"}
)

// random makes a file that is often valid, and often nearly valid.
func random(r *rand.Rand) string {
	pick := func(from []string) string { return from[r.Intn(len(from))] }
	var b strings.Builder
	for n := r.Intn(6); n >= 0; n-- {
		parts := []string{pick(types), pick(controls), pick(modules)}
		for range r.Intn(3) {
			parts = append(parts, pick(words))
		}
		switch r.Intn(12) {
		case 0:
			parts[r.Intn(len(parts))] = pick(wrong)
		case 1:
			parts = parts[:r.Intn(len(parts))]
		case 2:
			parts[2] = pick(nameless)
		}
		for _, part := range parts {
			b.WriteString(part)
			b.WriteString([]string{" ", "\t", "  ", " \\\n"}[blank(r)])
		}
		if n > 0 || r.Intn(2) == 0 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// blank returns a separator, which is rarely a continuation.
func blank(r *rand.Rand) int {
	if r.Intn(40) == 0 {
		return 3
	}
	return r.Intn(3)
}

// edits checks the properties of edits for a file that is accepted.
func edits(t *testing.T, text string) {
	file, err := Parse([]byte(text))
	if err != nil {
		return
	}
	if got := string(file.Bytes()); got != text {
		t.Fatalf("parsing changed %q to %q", text, got)
	}
	in, err := file.Insert(ours)
	if err != nil {
		return
	}
	if rule := in.FirstAuth(); !rule.Ours() || len(in.Rules()) != len(file.Rules())+1 {
		t.Fatalf("%q became %q", text, in.Bytes())
	}
	line := in.FirstAuth().Line
	out, err := in.Remove(func(rule Rule) bool { return rule.Line == line })
	if err != nil {
		t.Fatalf("%q: %v", in.Bytes(), err)
	}
	if got := string(out.Bytes()); got != text {
		t.Fatalf("in and out again made %q of %q", got, text)
	}
	on, err := in.Respell(*in.FirstAuth(), "x/"+Module, true)
	if err != nil {
		t.Fatalf("%q: %v", in.Bytes(), err)
	}
	off, err := on.Respell(*on.FirstAuth(), Module, false)
	if err != nil || string(off.Bytes()) != string(in.Bytes()) {
		t.Fatalf("respelled and back, %q became %q (%v)", in.Bytes(), off.Bytes(), err)
	}
}

func TestEditsAreUndoneToTheByte(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 50000 {
		edits(t, random(r))
	}
}

func FuzzEdits(f *testing.F) {
	for _, text := range services(f) {
		f.Add(string(text))
	}
	f.Fuzz(edits)
}
