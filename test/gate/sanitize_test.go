// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package gate tests the module's C part: with sanitizers, and with workers that
// misbehave.
package gate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/test/answer"
)

// TestGateUnderSanitizers gives all kinds of answers to a gate that is built with the
// address and undefined-behaviour sanitizers.
func TestGateUnderSanitizers(t *testing.T) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	dir := t.TempDir()
	exported := filepath.Join(dir, "tls")
	answers := filepath.Join(exported, "answers") // where a worker may read
	module, host := filepath.Join(dir, "pam_gate.so"), filepath.Join(dir, "pamhost")
	sanitize := []string{"-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"}

	build := func(arguments ...string) {
		t.Helper()
		if out, err := exec.Command(cc, append(sanitize, arguments...)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cc, err, out)
		}
	}
	trial := exec.Command(cc, append(sanitize, "-include", "security/pam_modules.h", "-shared", "-x", "c", "/dev/null", "-lpam",
		"-o", filepath.Join(dir, "trial"))...)
	if out, err := trial.CombinedOutput(); err != nil {
		t.Skipf("%s has no sanitizers here, or libpam's headers are missing: %v\n%s", cc, err, out)
	}
	sources, err := filepath.Glob("../../module/*.c")
	if err != nil {
		t.Fatal(err)
	}
	build(append(append([]string{"-shared", "-fPIC", "-Istub", "-I../../module", "-o", module,
		"-DEXPORTED=\"" + exported + "\"", "-DANSWERS=\"" + answers + "\"", "stub/worker.c"}, sources...), "-lpam")...)
	build("-o", host, "../../internal/testutil/pamhost/host/pamhost.c", "-lpam")
	rule := "auth required " + module + " timeout=1 unknown_option\n"
	pamhost.Service(t, dir, "cockpit", rule)
	if err := os.Mkdir(exported, 0o700); err != nil {
		t.Fatal(err)
	}

	record := func(kind, priority, result, uid uint32, user, text string) []byte {
		return answer.New(kind, priority, result, uid, user, text).Bytes()
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	root := record(answer.Verdict, 6, answer.Success, 0, "root", "welcome")
	line := record(answer.Log, 6, 0, 0, "", "a line for the log")
	for name, test := range map[string]struct {
		answers      []byte
		result, user string
	}{
		"a success":                   {root, pamhost.Success, "root"},
		"a success after log lines":   {join(line, record(answer.Asking, 0, 0, 0, "", "certificate"), line, root), pamhost.Success, "root"},
		"what follows is not read":    {join(root, []byte("garbage")), pamhost.Success, "root"},
		"an unknown user":             {record(answer.Verdict, 3, answer.UserUnknown, 0, "", "why"), pamhost.UserUnknown, ""},
		"SSSD unavailable":            {record(answer.Verdict, 3, answer.Unavailable, 0, "", "why"), pamhost.AuthinfoUnavail, ""},
		"a service error":             {record(answer.Verdict, 3, answer.ServiceError, 0, "", "why"), pamhost.ServiceErr, ""},
		"ignore, which alone denies":  {record(answer.Verdict, 3, answer.Ignore, 0, "", ""), pamhost.PermDenied, ""},
		"a name with another uid":     {record(answer.Verdict, 6, answer.Success, 7, "root", "welcome"), pamhost.ServiceErr, ""},
		"a name that nobody has":      {record(answer.Verdict, 6, answer.Success, 7, "nobody has this", "welcome"), pamhost.UserUnknown, ""},
		"nothing":                     {nil, pamhost.ServiceErr, ""},
		"one byte":                    {[]byte("p"), pamhost.ServiceErr, ""},
		"all but a byte":              {root[:1023], pamhost.ServiceErr, ""},
		"a log line and half a one":   {join(line, line[:100]), pamhost.ServiceErr, ""},
		"zeros":                       {make([]byte, 4096), pamhost.ServiceErr, ""},
		"ones":                        {bytes.Repeat([]byte{0xff}, 100000), pamhost.ServiceErr, ""},
		"more log lines than allowed": {join(bytes.Repeat(line, 1000), root), pamhost.ServiceErr, ""},
		"what a dying runtime prints": {[]byte("fatal error: all goroutines are asleep\n\ngoroutine 1:\n"), pamhost.ServiceErr, ""},
		"a format in the text":        {record(answer.Verdict, 3, answer.UserUnknown, 0, "", "%s%n%1000000d"), pamhost.UserUnknown, ""},
		"a name without an end":       {record(answer.Verdict, 6, answer.Success, 0, strings.Repeat("a", 264), ""), pamhost.ServiceErr, ""},
		"a text without an end":       {record(answer.Verdict, 3, answer.UserUnknown, 0, "", strings.Repeat("a", 740)), pamhost.ServiceErr, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(answers, test.answers, 0o600); err != nil {
				t.Fatal(err)
			}
			report := pamhost.Host{Program: host, Args: []string{"-d", dir, "-n", "3", "-o", "s"}}.Run(t)
			if result, user := report.Get("result"), report.Get("user"); result != test.result || user != test.user {
				t.Errorf("PAM result %s, user %q; want %s, %q", result, user, test.result, test.user)
			}
			if changes := report.Changes(); changes != "" {
				t.Errorf("the login process changed:\n%s", changes)
			}
		})
	}
}
