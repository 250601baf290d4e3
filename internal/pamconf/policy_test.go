// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stock returns a distribution's service file, and those that it includes.
func stock(t *testing.T, service, stacks string) map[string]string {
	t.Helper()
	files := map[string]string{"etc/pam.d/cockpit": string(services(t)[service])}
	names, err := filepath.Glob("testdata/stacks/" + stacks + "/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no stacks of %s: %v", stacks, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files["etc/pam.d/"+filepath.Base(name)] = string(text)
	}
	return files
}

// SUSE's pam-config writes these modules into common-auth, each in the place of
// pam_unix or after it. None of them may keep the other rules from being told apart.
func TestTheAuthPolicyWithEveryModuleOfPAMConfig(t *testing.T) {
	for name, password := range map[string]string{
		"pam_unix_ng":      "auth required pam_unix_ng.so try_first_pass\n",
		"pam_unix2":        "auth required pam_unix2.so\n",
		"pam_kanidm":       "auth sufficient pam_unix.so try_first_pass\nauth required pam_kanidm.so ignore_unknown_user\n",
		"pam_nam":          "auth sufficient pam_unix.so try_first_pass\nauth required pam_nam.so use_first_pass\n",
		"pam_winbind":      "auth sufficient pam_unix.so try_first_pass\nauth required pam_winbind.so use_first_pass\n",
		"pam_himmelblau":   "auth sufficient pam_himmelblau.so ignore_unknown_user\nauth required pam_unix.so try_first_pass\n",
		"pam_ssh":          "auth sufficient pam_ssh.so try_first_pass\nauth required pam_unix.so try_first_pass\n",
		"pam_systemd_home": "auth sufficient pam_systemd_home.so\nauth required pam_unix.so try_first_pass\n",
		"fingerprints": "auth sufficient pam_fp.so\nauth sufficient pam_fprint.so\nauth sufficient pam_thinkfinger.so\n" +
			"auth sufficient pam_fprintd.so\nauth required pam_unix.so try_first_pass\n",
		"keyrings": "auth optional pam_gnome_keyring.so\nauth optional pam_kwallet5.so\nauth required pam_ecryptfs.so unwrap\n" +
			"auth optional pam_fscrypt.so\nauth optional pam_cryptpass.so\nauth optional pam_csync.so\nauth required pam_unix.so try_first_pass\n",
		"pam_ccreds": "auth sufficient pam_unix.so try_first_pass\n" +
			"auth [authinfo_unavail=ignore success=1 default=2] pam_krb5.so use_first_pass\n" +
			"auth [default=done] pam_ccreds.so action=validate use_first_pass\n" +
			"auth [default=done] pam_ccreds.so action=store\nauth [default=bad] pam_ccreds.so action=update\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := system(t, map[string]string{
				"etc/pam.d/cockpit":     "auth substack common-auth\nauth required pam_nologin.so\n",
				"etc/pam.d/common-auth": "auth optional pam_faildelay.so delay=2000000\nauth required pam_group.so\n" + password,
			})
			report, err := s.Install(InstallOptions{Policy: PolicyAuth})
			if err != nil {
				t.Fatal(err)
			}
			if runs := strings.Join(report.Runs, " "); runs != "pam_faildelay.so pam_group.so pam_nologin.so" {
				t.Errorf("after a certificate run: %s", runs)
			}
		})
	}
}

func TestTheAuthPolicyOfStockFiles(t *testing.T) {
	for _, test := range []struct{ service, stacks, copies string }{
		{"debian-12", "debian", "auth required pam_sepermit.so\nauth optional pam_cap.so\n" +
			"auth required pam_listfile.so item=user sense=deny file=/etc/cockpit/disallowed-users onerr=succeed\n"},
		{"debian-13", "debian", "auth required pam_sepermit.so\nauth optional pam_cap.so\n"},
		{"fedora", "fedora", "auth required pam_sepermit.so\nauth required pam_env.so\nauth required pam_faildelay.so delay=2000000\n" +
			"auth required pam_faillock.so preauth silent\n"},
		{"suse", "suse", "auth required pam_env.so\nauth required pam_listfile.so item=user sense=deny file=/etc/cockpit/disallowed-users onerr=succeed\n"},
		{"suse-with-postlogin", "tumbleweed", "auth required pam_listfile.so item=user sense=deny file=/etc/cockpit/disallowed-users onerr=succeed\n"},
		{"arch", "arch", "auth required pam_shells.so\nauth requisite pam_nologin.so\nauth required pam_faillock.so preauth\n" +
			"auth required pam_env.so\nauth required pam_faillock.so authsucc\n"},
	} {
		t.Run(test.service, func(t *testing.T) {
			s := system(t, stock(t, test.service, test.stacks))
			before := s.read(t, "etc/pam.d/cockpit")
			report, err := s.Install(InstallOptions{Policy: PolicyAuth})
			if err != nil {
				t.Fatal(err)
			}
			fragment := s.read(t, s.Fragment())
			_, copies, _ := strings.Cut(strings.TrimPrefix(fragment, fragmentHead), "\n")
			copies = strings.TrimSuffix(copies, "-auth [default=ignore] pam_cockpit_cert.so accepted\n")
			if copies != test.copies {
				t.Errorf("after a certificate run:\n%s", copies)
			}
			_, file, err := s.Parsed()
			if err != nil {
				t.Fatal(err)
			}
			if state := s.PolicyState(file); state.Policy != PolicyAuth || state.Err != nil || strings.Join(state.Runs, " ") != strings.Join(report.Runs, " ") {
				t.Errorf("the state is %+v, and the report %+v", state, report)
			}
			again, err := s.Install(InstallOptions{Policy: PolicyAuth})
			if err != nil || again.Changed || !strings.HasSuffix(again.Message, ": nothing to do") {
				t.Errorf("a second time: %+v, %v", again, err)
			}
			if _, err := s.Remove(false); err != nil {
				t.Fatal(err)
			}
			if after := s.read(t, "etc/pam.d/cockpit"); after != before {
				t.Errorf("removed, it is not what it was:\n%s", after)
			}
			if entries, _ := filepath.Glob(filepath.Join(s.Root, s.Fragment())); len(entries) > 0 {
				t.Errorf("%s is left", entries)
			}
		})
	}
}

func TestStacksThatCannotBeJudged(t *testing.T) {
	for name, test := range map[string]struct{ stack, want string }{
		"an unknown module":              {"auth required pam_unix.so\nauth required pam_corp.so\n", "line 2 of /etc/pam.d/cockpit: it is not known whether pam_corp.so asks for something"},
		"a program that wants passwords": {"auth required pam_unix.so\nauth optional pam_exec.so expose_authtok /x\n", "whether pam_exec.so asks"},
		"a rule for some users":          {"auth [success=1 default=ignore] pam_succeed_if.so uid < 5000\nauth required pam_listfile.so file=/x\nauth required pam_unix.so\n", "line 2 of /etc/pam.d/cockpit runs at some logins by password, and at others not"},
		"a rule for local users":         {"auth [success=ok default=1] pam_localuser.so\nauth sufficient pam_unix.so\nauth required pam_nologin.so\nauth required pam_sss.so\n", "line 3 of /etc/pam.d/cockpit runs at some"},
		"no password":                    {"auth required pam_deny.so\nauth required pam_unix.so\n", "no password opens this stack"},
		"no module without one":          {"auth required pam_unix.so\n", "no module of the auth stack runs without a password"},
		"a missing file":                 {"auth include nowhere\n", "nowhere, which a rule includes, does not exist"},
		"a file within itself":           {"auth include cockpit\n", "too deep"},
		"a reset":                        {"auth required pam_nologin.so\nauth [default=reset] pam_env.so\nauth required pam_unix.so\n", "what runs before a reset cannot be told"},
		"a rule by hand":                 {"auth sufficient pam_cockpit_cert.so\nauth required pam_nologin.so\nauth required pam_unix.so\n", "line 1: the rule was written by hand: remove it first, by pam remove"},
		"two rules":                      {"auth sufficient pam_cockpit_cert.so\nauth sufficient pam_cockpit_cert.so\nauth required pam_unix.so\n", "the rule is there 2 times"},
		"a file of somebody else's":      {"auth required pam_nologin.so\nauth required pam_unix.so\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"etc/pam.d/cockpit": test.stack}
			if test.want == "" {
				files["etc/pam.d/cockpit-certificate"], test.want = "auth required pam_deny.so\n", "was not written by pam install, and is left alone"
			}
			s := system(t, files)
			_, err := s.Install(InstallOptions{Policy: PolicyAuth})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if text := s.read(t, "etc/pam.d/cockpit"); text != test.stack {
				t.Errorf("it was changed:\n%s", text)
			}
			if _, err := os.Stat(filepath.Join(s.Root, "var")); err == nil {
				t.Error("something is remembered of it")
			}
		})
	}
}

// What runs after a password runs after a certificate, whichever way leads there.
func TestOnlyWhatEveryPasswordMeetsRuns(t *testing.T) {
	for name, test := range map[string]struct{ stack, want string }{
		"after the password":    {"auth requisite pam_unix.so\nauth required pam_access.so\n", "pam_access.so"},
		"skipped by a password": {"auth sufficient pam_unix.so\nauth required pam_access.so\nauth required pam_deny.so\nauth optional pam_nologin.so\n", ""},
		"failed logins alone":   {"auth required pam_faillock.so preauth\nauth [success=1 default=ignore] pam_unix.so\nauth [default=die] pam_faillock.so authfail\nauth sufficient pam_faillock.so authsucc\nauth requisite pam_deny.so\n", "pam_faillock.so preauth"},
		"a second factor":       {"auth required pam_unix.so\nauth required pam_oath.so\nauth required pam_time.so\n", "pam_time.so"},
		"an argument in brackets": {"auth required pam_succeed_if.so [user notin a:b \\] c] quiet\nauth required pam_unix.so\n",
			"pam_succeed_if.so [user notin a:b \\] c] quiet"},
	} {
		t.Run(name, func(t *testing.T) {
			s := system(t, map[string]string{"etc/pam.d/cockpit": test.stack})
			_, err := s.Install(InstallOptions{Policy: PolicyAuth})
			if test.want == "" {
				if err == nil {
					t.Error(s.read(t, s.Fragment()))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if fragment := s.read(t, s.Fragment()); !strings.Contains(fragment, "\nauth required "+test.want+"\n-auth [default=ignore]") || strings.Count(fragment, "\n") != 4 {
				t.Errorf("got %s", fragment)
			}
		})
	}
}

func TestAChosenPolicyStays(t *testing.T) {
	files := stock(t, "fedora", "fedora")
	s := system(t, files)
	must := func(report Report, err error) Report {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	policy := func() PolicyState {
		t.Helper()
		_, file, err := s.Parsed()
		if err != nil {
			t.Fatal(err)
		}
		return s.PolicyState(file)
	}
	must(s.Install(InstallOptions{Policy: PolicyAuth}))
	installed := s.read(t, "etc/pam.d/cockpit")

	// A package manager replaces the file.
	if err := os.WriteFile(filepath.Join(s.Root, "etc/pam.d/cockpit"), []byte(files["etc/pam.d/cockpit"]), 0o644); err != nil {
		t.Fatal(err)
	}
	must(s.Install(InstallOptions{OnceFor: "2"}))
	if text := s.read(t, "etc/pam.d/cockpit"); text != installed {
		t.Errorf("an upgrade makes of it\n%s", text)
	}
	// The module moves, and the rule gets its debugging.
	debug := true
	must(s.Install(InstallOptions{Module: "/opt/pam_cockpit_cert.so", Debug: &debug}))
	if state := policy(); state.Policy != PolicyAuth || state.Err != nil || strings.Contains(s.read(t, s.Fragment()), " pam_cockpit_cert.so") {
		t.Errorf("with another module: %+v\n%s", state, s.read(t, s.Fragment()))
	}
	// The auth stack changes.
	path := filepath.Join(s.Root, "etc/pam.d/password-auth")
	if err := os.WriteFile(path, []byte("auth required pam_nologin.so\n"+files["etc/pam.d/password-auth"]), 0o644); err != nil {
		t.Fatal(err)
	}
	if state := policy(); !errors.Is(state.Err, ErrOutdated) {
		t.Errorf("with another auth stack: %+v", state)
	}
	if report := must(s.Install(InstallOptions{Policy: PolicyAuth})); !strings.HasPrefix(report.Message, "changed what the rule in") || policy().Err != nil {
		t.Errorf("brought up to date: %+v, %+v", report, policy())
	}
	// And back.
	must(s.Install(InstallOptions{Policy: PolicyAccount}))
	if _, err := os.Stat(filepath.Join(s.Root, s.Fragment())); err == nil || policy().Policy != PolicyAccount {
		t.Errorf("the account policy leaves %v, %+v", err, policy())
	}
	must(s.Install(InstallOptions{Module: Module, Debug: new(bool)}))
	must(s.Remove(false))
	must(s.Install(InstallOptions{}))
	if policy().Policy != PolicyAccount {
		t.Error("what was taken back comes again")
	}
}

func TestAPackageThatGoesForgetsThePolicy(t *testing.T) {
	s := system(t, stock(t, "debian-12", "debian"))
	if _, err := s.Install(InstallOptions{Policy: PolicyAuth, OnceFor: "1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(true); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{s.Fragment(), "var/lib/pam_cockpit_cert"} {
		if _, err := os.Stat(filepath.Join(s.Root, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

// The manual page has the rules as they are written.
func TestTheManualPageHasTheRulesOfThePolicy(t *testing.T) {
	page, err := os.ReadFile("../../man/pam_cockpit_cert.8")
	if err != nil {
		t.Fatal(err)
	}
	s := system(t, map[string]string{"etc/pam.d/cockpit": "auth required pam_faillock.so preauth\nauth optional pam_group.so\nauth required pam_unix.so\n"})
	if _, err := s.Install(InstallOptions{Policy: PolicyAuth}); err != nil {
		t.Fatal(err)
	}
	rules, _, _ := strings.Cut(s.read(t, "etc/pam.d/cockpit"), "auth required")
	copies := strings.TrimPrefix(s.read(t, s.Fragment()), fragmentHead)
	for _, text := range []string{rules, copies} {
		if !strings.Contains(string(page), ".Bd -literal\n"+text+".Ed\n") {
			t.Errorf("the manual page does not have\n%s", text)
		}
	}
}
