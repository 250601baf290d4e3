// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package domain

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/machine"
)

// TestActiveDirectory runs all tests of the domain. It starts the domain controller
// once for both hosts.
func TestActiveDirectory(t *testing.T) {
	l := newLab(t)
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			h := host{l, suite, l.hosts[suite]}
			t.Log(h.Run(t, "dpkg-query", "-W", "cockpit-ws", "sssd-ad", "sudo", "libkrb5-3"))
			h.online(t)
			t.Run("who logs in", h.whoLogsIn)
			t.Run("the end of a session", h.end)
			if suite == suites[0] { // it takes some seconds, and is systemd's work
				t.Run("a login that is killed", h.killed)
			}
			t.Run("status", h.status)
			t.Run("tickets for other hosts", h.otherHosts)
			t.Run("nothing as anybody else", h.nobodyElse)
			t.Run("accounts that may not", h.accounts)
			t.Run("turned off", h.off)
			t.Run("other logins", h.otherLogins)
			t.Run("full names", h.fullNames)
			t.Run("other names", h.otherNames)
			t.Run("keytabs", h.keytabs)
			t.Run("no domain controller", h.noController)
		})
	}
	for _, suite := range suites { // nothing comes after it
		t.Run(suite+" at another time", host{l, suite, l.hosts[suite]}.anotherTime)
	}
}

// online waits until SSSD reaches the domain controller. On a busy machine SSSD's
// first try may come too early, and the next one is a minute later.
func (h host) online(t *testing.T) {
	t.Helper()
	h.Sh(t, `for try in 1 2 3 4 5; do
			for second in $(seq 15); do
				! sssctl domain-status ad.lab --online 2>/dev/null | grep -q 'Online status: Online' || exit 0
				sleep 1
			done
			systemctl restart sssd
		done
		sssctl domain-status ad.lab >&2
		exit 1`)
}

// host is a host that has joined the domain.
type host struct {
	*lab
	suite string
	*machine.Machine
}

func (h host) enter(t testing.TB, name, script string) session {
	t.Helper()
	return h.login(t, h.Machine, name, script)
}

// asRoot uses sudo as Cockpit's administrative access does, and ssh without a password.
const asRoot = "sudo -A id -un 2>&1"

func ssh(to string) string {
	return "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=10 -o PreferredAuthentications=gssapi-with-mic " + to
}

// whoLogsIn logs in by a stored certificate, by a rule, and by the name in the
// certificate. Each user has their own ticket, and with it sudo and ssh to this host
// without a password.
func (h host) whoLogsIn(t *testing.T) {
	for _, test := range []struct {
		certificate, user string
		sudo              bool
	}{
		{"alice", "alice", true},
		{"carded", "carded", true},
		{"upn", "upn", true},
		{"gina smith", "gina smith", true},
		{"sensitive", "sensitive", true},
		// The user's principal name has capitals, or another suffix. SSSD compares
		// the principal with it, but not in the same way in each release.
		{"DORA", "dora", h.suite == "bookworm"},
		{"suffix", "suffix", h.suite != "bookworm"},
	} {
		t.Run(test.certificate, func(t *testing.T) {
			journal := h.Journal(t)
			got := h.enter(t, test.certificate, `
				echo "user: $(id -un)"
				echo "tickets: $(klist | sed -n 's/^Default principal: //p') $(klist | awk '/@AD.LAB$/ && NF == 5 { print $5 }' | tr '\n' ' ')"
				echo "sudo: $(`+asRoot+`)"
				echo "ssh: $(`+ssh(fullName(h.suite))+` id -un)"`)
			principal := strings.ToLower(test.user) + "@ad.lab"
			for _, want := range []string{
				"(?m)^user: " + test.user + "$",
				"(?mi)^tickets: " + principal + "( host/[^ ]+@AD.LAB)+ ?$",
				"(?m)^tickets: .* host/" + fullName(h.suite) + "@AD.LAB",
				"(?m)^ssh: " + test.user + "$",
			} {
				if !regexp.MustCompile(want).MatchString(got.out) {
					t.Errorf("no %s in\n%s", want, got.out)
				}
			}
			if sudo := strings.Contains(got.out, "sudo: root\n"); sudo != test.sudo {
				t.Errorf("sudo without a password: %v\n%s", sudo, got.out)
			}
			if t.Failed() {
				t.Log(journal.Since(t, "--grep=cockpit"))
			}
		})
	}
}

var ticketFile = regexp.MustCompile(`^/run/user/\d+/cockpit-session-\d+\.ccache$`)

// end checks that the file with the tickets is removed soon after the session.
func (h host) end(t *testing.T) {
	got := h.enter(t, "alice", `echo "${KRB5CCNAME#FILE:}"; stat -c '%U %a' "${KRB5CCNAME#FILE:}"`)
	file, mode, _ := strings.Cut(got.out, "\n")
	if !ticketFile.MatchString(file) || mode != "alice 600\n" {
		t.Errorf("KRB5CCNAME is %s", got.out)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := h.Try(t, "ls", file); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is there 10 s after the session", file)
		}
	}
}

// killed checks that after a login process was killed, the file is removed with the
// user's last session.
func (h host) killed(t *testing.T) {
	h.enter(t, "alice", `
		file=${KRB5CCNAME#FILE:}
		echo "$file" >/tmp/of-killed
		pid=${file##*-}
		sudo -A kill -9 "${pid%.ccache}"
		sleep 1`)
	file := strings.TrimSpace(h.Run(t, "cat", "/tmp/of-killed"))
	if !ticketFile.MatchString(file) {
		t.Fatalf("KRB5CCNAME is %s", file)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if _, err := h.Try(t, "ls", file); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is there a minute after the login process was killed", file)
		}
	}
}

// status checks that the command status reports what is missing for sudo without a
// password: nothing, or the rule for sudo -i.
func (h host) status(t *testing.T) {
	const rule = "/etc/pam.d/sudo-i"
	t.Cleanup(func() { h.Run(t, "mv", rule+".good", rule) })
	h.Sh(t, "cp "+rule+" "+rule+".good")
	for _, test := range []struct{ before, session, status string }{
		{"", "^root\nroot\n$", "sudo takes the session's Kerberos ticket"},
		{"sed -i /pam_sss_gss/d " + rule, "^root\nsudo: ", "sudo -i asks for a password: pam_sss_gss.so is not in " + rule},
	} {
		h.Sh(t, test.before)
		got := h.enter(t, "alice", asRoot+"; sudo -A -k -i id -un 2>&1")
		if !regexp.MustCompile(test.session).MatchString(got.out) {
			t.Errorf("after %q, a session says\n%s", test.before, got.out)
		}
		out, _ := h.Try(t, "pam-cockpit-cert", "status")
		if !strings.Contains(strings.Join(strings.Fields(out), " "), test.status) {
			t.Errorf("after %q, status says\n%s", test.before, out)
		}
	}
}

// option gives the rule options, until the test ends.
func (h host) option(t *testing.T, options string) {
	t.Helper()
	service := h.Run(t, "cat", "/etc/pam.d/cockpit")
	t.Cleanup(func() { h.Write(t, "/etc/pam.d/cockpit", 0o644, []byte(service)) })
	h.Sh(t, `sed -i 's/pam_cockpit_cert.so.*/& `+options+`/' /etc/pam.d/cockpit`)
}

// other returns the other host's name.
func (h host) other() string {
	if h.suite == suites[0] {
		return fullName(suites[1])
	}
	return fullName(suites[0])
}

// otherHosts checks ssh to another host: it works where the domain lets this host
// delegate, and nowhere else.
func (h host) otherHosts(t *testing.T) {
	own := "host@" + fullName(h.suite) // which needs no delegation
	h.option(t, "ticket_for="+own+" ticket_for=host@"+h.other()+" ticket_for=host@dc.ad.lab")
	account := strings.ToUpper(h.suite) + "$"
	script := ssh(h.other()) + " id -un; " + asRoot
	if got := h.enter(t, "alice", script); strings.Contains(got.out, "alice\n") || !strings.Contains(got.out, "root\n") {
		t.Errorf("before the domain allows it:\n%s", got.out)
	}
	h.cockpitsKey(t)
	if got := h.enter(t, "alice", script); !strings.HasPrefix(got.out, "alice\n") || !strings.Contains(got.out, "root\n") {
		t.Errorf("with Cockpit's own key:\n%s", got.out)
	}
	h.Run(t, "rm", "/etc/cockpit/krb5.keytab")
	h.controller.Run(t, "samba-tool", "delegation", "for-any-protocol", account, "on")
	h.controller.Run(t, "samba-tool", "delegation", "add-service", account, "host/"+h.other())
	journal := h.Journal(t)
	if got := h.enter(t, "alice", script); !strings.HasPrefix(got.out, "alice\n") || !strings.Contains(got.out, "root\n") {
		t.Errorf("ssh to the other host, and sudo:\n%s\n%s", got.out, journal.Since(t))
	}
	h.says(t, journal, "no Kerberos ticket for host@dc.ad.lab: .*: does the domain let this host delegate to it")
	if text := journal.Since(t); strings.Contains(text, "no Kerberos ticket for "+own) {
		t.Errorf("the user has a ticket for %s, and the journal says:\n%s", own, text)
	}
	// A user whose account is marked so has sudo, but no ssh to other hosts.
	if got := h.enter(t, "sensitive", script); strings.Contains(got.out, "sensitive\n") || !strings.Contains(got.out, "root\n") {
		t.Errorf("an account that may not be delegated:\n%s", got.out)
	}
}

// cockpitsKey gives the host a second key, of an account that may delegate to the
// other host, as FreeIPA's rules for Cockpit do.
func (h host) cockpitsKey(t *testing.T) {
	t.Helper()
	account := "CKPT-" + strings.ToUpper(h.suite)
	key := h.controller.Sh(t, `
		samba-tool computer create `+account+` >/dev/null 2>&1
		samba-tool user setpassword '`+account+`$' --newpassword='`+secret+`' >/dev/null 2>&1
		samba-tool delegation for-any-protocol '`+account+`$' on >/dev/null 2>&1
		samba-tool delegation add-service '`+account+`$' host/`+h.other()+` >/dev/null 2>&1
		samba-tool domain exportkeytab /root/cockpit.keytab --principal='`+account+`$' >/dev/null 2>&1
		base64 -w0 /root/cockpit.keytab
		rm /root/cockpit.keytab`)
	h.Sh(t, `mkdir -p /etc/cockpit; umask 077; echo `+key+` | base64 -d >/etc/cockpit/krb5.keytab`)
}

// says waits for a line of the journal.
func (h host) says(t testing.TB, journal machine.Journal, expression string) {
	t.Helper()
	var text string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if text = journal.Since(t); regexp.MustCompile(expression).MatchString(text) {
			return
		}
	}
	t.Errorf("the journal does not say %s:\n%s", expression, text)
}

// quiet fails the test if the journal speaks of tickets.
func (h host) quiet(t testing.TB, journal machine.Journal) {
	t.Helper()
	if text := journal.Since(t); strings.Contains(text, "Kerberos ticket") {
		t.Errorf("the journal speaks of tickets:\n%s", text)
	}
}

// accounts checks that the account stack refuses accounts that the domain has
// disabled, or that have expired. The state of the password does not matter for a
// certificate, but the KDC may give no ticket.
func (h host) accounts(t *testing.T) {
	h.controller.Run(t, "samba-tool", "user", "disable", "disabled")
	h.change(t, "expired", "accountExpires: 116444736000000000") // 1970
	h.change(t, "mustchange", "pwdLastSet: 0")
	h.controller.Sh(t, `samba-tool domain passwordsettings set --account-lockout-threshold=2
		for i in 1 2 3; do echo wrong | kinit locked@AD.LAB >/dev/null 2>&1 || true; done`)
	h.Sh(t, "sss_cache -E")
	for name, enters := range map[string]bool{"disabled": false, "expired": false, "locked": true, "mustchange": true} {
		t.Run(name, func(t *testing.T) {
			journal := h.Journal(t)
			start := time.Now()
			got := h.enter(t, name, "id -un; "+asRoot)
			t.Logf("after %s, entered %v: %s", time.Since(start).Round(100*time.Millisecond), got.entered, got.out)
			if got.entered != enters {
				t.Errorf("entered: %v\n%s", got.entered, journal.Since(t))
			}
		})
	}
}

// off checks that the option no_ticket turns tickets off.
func (h host) off(t *testing.T) {
	h.option(t, "no_ticket")
	journal := h.Journal(t)
	if got := h.enter(t, "alice", `echo "have $KRB5CCNAME"; klist 2>&1`); !strings.HasPrefix(got.out, "have \n") {
		t.Errorf("with no_ticket:\n%s", got.out)
	}
	h.quiet(t, journal)
}

// otherLogins checks that logins by password and by Kerberos still get what the
// modules after the rule give at setcred.
func (h host) otherLogins(t *testing.T) {
	h.Write(t, "/etc/security/capability.conf", 0o644, []byte("cap_net_raw alice\n"))
	h.Write(t, "/etc/security/group.conf", 0o644, []byte("cockpit;*;*;Al0000-2400;dialout\n"))
	h.Sh(t, "grep -q pam_cap /etc/pam.d/common-auth || printf 'auth optional pam_cap.so\nauth optional pam_group.so\n' >>/etc/pam.d/common-auth")
	given := func(t *testing.T) map[string]string {
		t.Helper()
		found := map[string]string{}
		const look = `
			for i in $(seq 100); do pid=$(pgrep -u alice -o cockpit-bridge) && break; sleep 0.1; done
			grep -E '^(CapInh|Groups):' "/proc/$pid/status"
			loginctl terminate-user alice; while pgrep -u alice cockpit-bridge >/dev/null; do sleep 0.1; done`
		const login = "curl -s -k -o /dev/null -w '%{http_code} ' "
		url := "https://" + fullName(h.suite) + ":9090/cockpit/login"
		found["password"] = h.Sh(t, login+"--user 'alice:"+secret+"x' "+url+look)
		found["Kerberos"] = h.Sh(t, "echo '"+secret+"x' | kinit -c /tmp/negotiate alice >/dev/null; KRB5CCNAME=/tmp/negotiate "+login+"--negotiate -u : "+url+look)
		return found
	}
	with := given(t)
	h.Run(t, "pam-cockpit-cert", "pam", "remove")
	without := given(t)
	h.Run(t, "pam-cockpit-cert", "pam", "install")
	for login, want := range without {
		if with[login] != want || !strings.HasPrefix(want, "200 ") || !strings.Contains(want, "2000") {
			t.Errorf("%s: with our rule %q, without %q", login, with[login], want)
		}
	}
}

// fullNames checks logins if user names have the domain in them.
func (h host) fullNames(t *testing.T) {
	h.Sh(t, `sed -i 's/^access_provider.*/&\nuse_fully_qualified_names = true/' /etc/sssd/sssd.conf; systemctl restart sssd`)
	t.Cleanup(func() {
		h.Sh(t, `sed -i '/^use_fully/d' /etc/sssd/sssd.conf; systemctl restart sssd`)
		h.known(t, h.Machine, "alice")
	})
	h.known(t, h.Machine, "alice@ad.lab")
	got := h.enter(t, "alice", "id -un; "+asRoot+"; klist")
	if !strings.HasPrefix(got.out, "alice@ad.lab\nroot\n") {
		t.Errorf("with the domain in the name:\n%s", got.out)
	}
}

// otherNames checks that a user whom SSSD gives another name on this host has their
// own tickets, even if it is the name of another user of the domain.
func (h host) otherNames(t *testing.T) {
	t.Cleanup(func() {
		h.Sh(t, "sss_override user-del alice; systemctl restart sssd")
		h.known(t, h.Machine, "alice")
	})
	for _, name := range []string{"ally", "bob"} {
		h.Sh(t, "sss_override user-add alice --home=/home/alice --name="+name+"; systemctl restart sssd")
		h.known(t, h.Machine, name)
		journal := h.Journal(t)
		got := h.enter(t, "alice", `id -un; klist | sed -n 's/^Default principal: //p'; `+asRoot)
		if got.out != name+"\nalice@AD.LAB\nroot\n" {
			t.Errorf("as %s:\n%s\n%s", name, got.out, journal.Since(t))
		}
	}
}

// keytabs checks that without a keytab there is no ticket and nothing in the log,
// and that a keytab that does not work is logged in one line.
func (h host) keytabs(t *testing.T) {
	t.Cleanup(func() { h.Sh(t, "cp -p /etc/krb5.keytab.good /etc/krb5.keytab") })
	for _, test := range []struct{ name, script, says string }{
		{"missing", "mv /etc/krb5.keytab /etc/krb5.keytab.good", ""},
		{"unreadable", "head -c 1000 /dev/urandom >/etc/krb5.keytab", "no Kerberos ticket: cannot read FILE:/etc/krb5.keytab: "},
		// The key has changed, as after another machine joined under this host's name.
		{"stale", `rm /etc/krb5.keytab
			printf 'addent -password -p ` + strings.ToUpper(h.suite) + `$@AD.LAB -k 1 -e aes256-cts\nold\nwkt /etc/krb5.keytab\n' | ktutil`,
			"no Kerberos ticket: the KDC gives .* none: .*: the keytab is older than the key in the domain; join the domain again"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.Sh(t, test.script)
			journal := h.Journal(t)
			if got := h.enter(t, "alice", `echo "have $KRB5CCNAME"`); got.out != "have \n" {
				t.Errorf("entered %v: %s", got.entered, got.out)
			}
			if test.says == "" {
				h.quiet(t, journal)
			} else {
				h.says(t, journal, test.says)
			}
		})
	}
}

// noController checks that without the domain controller, a user who has logged in
// before still logs in, in time, but without a ticket.
func (h host) noController(t *testing.T) {
	place := h.places["dc"]
	for _, test := range []struct {
		name          string
		before, after func()
		says          string
	}{
		{"stopped", func() { h.controller.Sh(t, "systemctl stop samba-ad-dc") }, func() { h.controller.Sh(t, "systemctl start samba-ad-dc") },
			"no Kerberos ticket"},
		{"cut off", func() { place.Disconnect(t) }, func() { place.Reconnect(t) }, "no Kerberos ticket within 3 seconds"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.before()
			defer test.after()
			journal := h.Journal(t)
			// At the first login SSSD itself has to find out that the controller is gone.
			h.enter(t, "alice", "id -un")
			start := time.Now()
			got := h.enter(t, "alice", `echo "have $KRB5CCNAME"`)
			t.Logf("%s after %s", fmt.Sprint(got), time.Since(start).Round(100*time.Millisecond))
			if got.out != "have \n" {
				t.Errorf("entered %v: %s\n%s", got.entered, got.out, journal.Since(t))
			}
			h.says(t, journal, test.says)
		})
	}
	h.Sh(t, "sssctl domain-status ad.lab --online || true; systemctl restart sssd")
	h.known(t, h.Machine, "alice")
}

// anotherTime: the domain controller's clock is ten minutes ahead. A login then
// depends on the time as little as SSSD does, and the log says why it has no ticket.
func (h host) anotherTime(t *testing.T) {
	h.controller.Sh(t, `mkdir -p /run/systemd/system/samba-ad-dc.service.d
		printf '[Service]\nEnvironment=LD_PRELOAD=%s FAKETIME=+10m\n' /usr/lib/*/faketime/libfaketime.so.1 >/run/systemd/system/samba-ad-dc.service.d/clock.conf
		systemctl daemon-reload
		systemctl restart samba-ad-dc`)
	// The controller takes some seconds to answer.
	h.Sh(t, `for i in $(seq 40); do
			! timeout 10 kinit -k -c MEMORY: '`+strings.ToUpper(h.suite)+`$' >/dev/null 2>&1 || break
			sleep 0.5
		done`)
	journal := h.Journal(t)
	// The first time SSSD itself has to find out.
	h.enter(t, "alice", "id -un")
	got := h.enter(t, "alice", `echo "have $KRB5CCNAME"`)
	if !got.entered {
		t.Fatalf("%s\n%s", got.out, journal.Since(t))
	}
	if got.out == "have \n" {
		h.says(t, journal, "no Kerberos ticket")
	}
}
