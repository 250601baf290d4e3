// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package rpm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pam_cockpit_cert/internal/testutil/machine"
)

// forDebian is the package with a policy module for what Debian has: the
// reference policy, under the name "default".
var forDebian = build{"selinux", []string{"--nocheck", "--define", "selinuxtype default"}}

// refused asks a policy, in files of the system, for what is needed and not granted.
func refused(t *testing.T, o *machine.Overlay, policy string, needed []need) (missing []string) {
	t.Helper()
	// sesearch needs a second to read a policy.
	rules := map[[2]string]string{}
	for _, need := range needed {
		between := [2]string{need.source, need.target}
		if _, asked := rules[between]; !asked {
			rules[between] = o.Sh(t, "sesearch -A -s "+need.source+" -t "+need.target+" "+policy)
		}
		granted := regexp.MustCompile(`(?m)^allow \S+ \S+:` + need.class + ` .*\b` + need.permission + `\b.*;`)
		if !granted.MatchString(rules[between]) {
			missing = append(missing, need.String())
		}
	}
	return missing
}

// TestSELinux installs the package with the policy module where there is a
// policy that grants too little, and finds it the only thing that is missing.
func TestSELinux(t *testing.T) {
	policy := standIn{name: "selinux-policy-default", version: "1", provides: []string{"policycoreutils"}}
	h := newHostOf(t, []string{"selinux-policy-default", "semodule-utils", "setools", "selinux-utils"},
		[]build{forDebian}, sssdDBus, cockpitWS("360", fedoraPAM), policy)
	h.addSELinux(forDebian)
	needed := needs(t)
	stock := []string{
		"cockpit_session_t cockpit_session_t capability sys_ptrace",
		"cockpit_session_t cockpit_session_t netlink_tcpdiag_socket create",
		"cockpit_session_t cockpit_session_t netlink_tcpdiag_socket nlmsg_read",
		"cockpit_session_t cockpit_session_t netlink_tcpdiag_socket read",
		"cockpit_session_t cockpit_session_t netlink_tcpdiag_socket write",
		"cockpit_session_t cockpit_session_t process getcap",
		"cockpit_session_t cockpit_session_t process setcap",
	}
	refused := func() []string {
		return refused(t, h.Overlay, "/etc/selinux/default/policy/policy.*", needed)
	}
	if missing := refused(); !slices.Equal(missing, stock) {
		t.Errorf("the stock policy refuses %q, and was thought to refuse %q", missing, stock)
	}

	h.must("dnf", "install", ours)
	if out, err := h.try("rpm", "-q", ours+"-selinux"); err == nil {
		t.Errorf("without a policy there is a module for it: %s", out)
	}
	h.must("dnf", "remove", ours)
	h.must("dnf", "install", ours, policy.name)
	h.must("rpm", "-q", ours+"-selinux")
	if missing := refused(); len(missing) > 0 {
		t.Errorf("with the module, the policy refuses %q", missing)
	}
	h.must("dnf", "reinstall", ours+"-selinux")
	// What the documentation says about the programs' types.
	for path, want := range map[string]string{
		"/usr/libexec/pam_cockpit_cert/cockpit-cert-session": ":bin_t:",
		"/usr/libexec/pam_cockpit_cert/cockpit-cert-ticket":  ":bin_t:",
		stub: ":lib_t:",
		"/usr/lib64/security/pam_cockpit_cert/pam_cockpit_cert.so": ":lib_t:",
		service: ":etc_t:",
	} {
		if out := h.Run(t, "matchpathcon", "-n", "-f", "/etc/selinux/default/contexts/files/file_contexts", path); !strings.Contains(out, want) {
			t.Errorf("%s is %s, want %s", path, strings.TrimSpace(out), want)
		}
	}

	h.must("rpm", "-e", ours, ours+"-selinux")
	if missing := refused(); !slices.Equal(missing, stock) {
		t.Errorf("erased, the policy refuses %q", missing)
	}
}

// policyVariable names a file with a policy, /etc/selinux/targeted/policy/policy.* of
// Fedora for example.
const policyVariable = "PAM_COCKPIT_CERT_SELINUX_POLICY"

// TestGivenPolicy checks that whatever a given policy refuses, ours grants. Debian has
// no package of Fedora's policy, and a binary one does not belong into the source.
func TestGivenPolicy(t *testing.T) {
	file := os.Getenv(policyVariable)
	if file == "" {
		t.Skipf("Debian has no other distribution's SELinux policy: copy one from there, and name the file in %s", policyVariable)
	}
	ours, err := os.ReadFile(filepath.Join(machine.Source(t), "selinux/pam_cockpit_cert.te"))
	if err != nil {
		t.Fatal(err)
	}
	o := machine.NewOverlay(t, machine.Root(t, machine.Recipe{Suite: suite(t), Packages: []string{"selinux-policy-default", "semodule-utils", "setools", "selinux-utils"}}))
	o.Copy(t, file, "/policy")
	for _, need := range refused(t, o, "/policy", needs(t)) {
		if !grants(string(ours), need) {
			t.Errorf("the policy refuses, and pam_cockpit_cert.te does not grant: %s", need)
		} else {
			t.Logf("only pam_cockpit_cert.te grants: %s", need)
		}
	}
}

// grants tells whether a policy's source has a rule for a need, as refused returns it.
func grants(source, need string) bool {
	fields := strings.Fields(need)
	if fields[0] == fields[1] {
		fields[1] = "self"
	}
	rule := regexp.MustCompile(`allow ` + fields[0] + ` ` + fields[1] + `:` + fields[2] + ` \{?([^;}]*)\}?;`)
	for _, permissions := range rule.FindAllStringSubmatch(source, -1) {
		if slices.Contains(strings.Fields(permissions[1]), fields[3]) {
			return true
		}
	}
	return false
}

// addSELinux puts the package with the policy module into the repository.
func (h *host) addSELinux(b build) {
	h.t.Helper()
	found, err := filepath.Glob(filepath.Join(packages(h.t, b), ours+"-selinux-*.noarch.rpm"))
	if err != nil || len(found) != 1 {
		h.t.Fatalf("packages for SELinux: %v, %v", found, err)
	}
	output(h.t, exec.Command("cp", found[0], h.repo))
	h.index()
}
