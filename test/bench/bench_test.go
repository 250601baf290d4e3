// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

// Package bench measures the module's time and memory, as ratios to its peers in the
// same run: an empty stack, and the C module of Cockpit 239.
package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pam_cockpit_cert/internal/testutil/cockpittls"
	"pam_cockpit_cert/internal/testutil/machine"
	"pam_cockpit_cert/internal/testutil/pamhost"
	"pam_cockpit_cert/internal/testutil/pki"
	"pam_cockpit_cert/internal/testutil/sssd"
)

func TestMain(m *testing.M) { machine.Main(m) }

// The services that are compared, with one rule each.
const (
	empty = "permit"
	peer  = "peer"
	ours  = "ours"

	theC = "the C module's" // whose time ours is compared with
)

// system is a Debian 11, with its SSSD, its C module and this module.
type system struct {
	b        *testing.B
	dir      string // its root directory
	instance cockpittls.Instance
}

// newSystem builds this module with that system's own compiler and libpam.
func newSystem(b *testing.B) *system {
	root := machine.Root(b, machine.Recipe{Suite: "bullseye", Packages: []string{
		"cockpit-ws", "sssd-common", "sssd-dbus", "dbus", "gcc", "libc6-dev", "libpam0g-dev", "make"}})
	o := machine.NewOverlay(b, root)
	for _, variable := range []string{"GOROOT", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", variable).Output()
		if err != nil {
			b.Fatal(err)
		}
		o.Bind(b, strings.TrimSpace(string(out)))
		b.Setenv(variable, strings.TrimSpace(string(out)))
	}
	o.Bind(b, machine.Source(b))
	o.Sh(b, fmt.Sprintf(`
		export PATH=%s/bin:$PATH GOMODCACHE=%s GOFLAGS=-mod=mod GOPROXY=off GOCACHE=/var/cache/go
		cd %s
		make -s BUILD=/var/bench GO=go /var/bench/pam_cockpit_cert.so
		gcc -O2 -o /var/bench/pamhost internal/testutil/pamhost/host/pamhost.c -lpam -lpthread`,
		os.Getenv("GOROOT"), os.Getenv("GOMODCACHE"), machine.Source(b)))

	s := &system{b: b, dir: o.Dir}
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	s.instance = cockpittls.NewInstance(b, alice.Fingerprint())
	for path, text := range map[string]string{
		"etc/sssd/sssd.conf": "[sssd]\nservices = nss, ifp\ndomains = local\n[domain/local]\nid_provider = files\n" +
			"[certmap/local/alice]\nmatchrule = <SUBJECT>^CN=alice,O=Lab$\n",
		"etc/sssd/pki/sssd_auth_ca_db.pem":       string(ca.PEM()),
		"run/cockpit/tls/" + alice.Fingerprint(): string(alice.PEM()),
		"var/bench/pam.d/" + empty:               "auth required pam_permit.so\n",
		"var/bench/pam.d/other":                  "auth required pam_deny.so\n",
		"var/bench/pam.d/" + peer:                "auth required pam_cockpit_cert.so\n",
		"var/bench/pam.d/" + ours:                "auth required /var/bench/pam_cockpit_cert.so allow_unvalidated\n",
	} {
		path = filepath.Join(s.dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s.start()
	return s
}

// start starts the bus and SSSD, which end with the test's process namespace.
func (s *system) start() {
	s.chroot("sh", "-euc", `
		mount -t proc proc /proc
		chmod 711 /etc/sssd
		mkdir -p /run/dbus
		useradd --uid 61001 alice
		dbus-daemon --system --fork --nopidfile
		sssd -D`)
	ready := func() bool {
		out, err := exec.Command("chroot", s.dir, "dbus-send", "--system", "--print-reply", "--dest=org.freedesktop.DBus",
			"/", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.sssd.infopipe").Output()
		return err == nil && strings.Contains(string(out), "true")
	}
	for deadline := time.Now().Add(30 * time.Second); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.b.Fatal("SSSD's InfoPipe does not come")
		}
	}
	s.b.Cleanup(func() {
		_ = exec.Command("chroot", s.dir, "sh", "-c", `kill -KILL $(cat /run/sssd.pid /var/run/sssd.pid 2>/dev/null) || :`).Run()
		_ = exec.Command("sh", "-c", `for p in /proc/[0-9]*; do [ "$(readlink $p/root)" != "$0" ] || kill -KILL ${p#/proc/}; done`, s.dir).Run()
		_ = exec.Command("umount", "-l", s.dir+"/proc").Run()
	})
}

func (s *system) chroot(arguments ...string) {
	s.b.Helper()
	if out, err := exec.Command("chroot", append([]string{s.dir}, arguments...)...).CombinedOutput(); err != nil {
		s.b.Fatalf("%v: %s", err, out)
	}
}

// host runs pamhost in the system, in the certificate's control group.
func (s *system) host(arguments ...string) pamhost.Report {
	return pamhost.Host{
		Program: "chroot",
		Args:    append([]string{s.dir, "/var/bench/pamhost", "-d", "/var/bench/pam.d"}, arguments...),
		Prepare: s.instance.Enter,
		Noisy:   true, // the C module writes to standard error
	}.Run(s.b)
}

// sample has the measurements of one kind of call.
type sample []float64

func (s *sample) add(report pamhost.Report) {
	for _, value := range report["time_ms"] {
		ms, err := strconv.ParseFloat(value, 64)
		if err != nil {
			panic(err)
		}
		*s = append(*s, ms)
	}
}

func (s sample) percentile(p int) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[(len(sorted)-1)*p/100]
}

// compare measures the services in turns, so that other load of the machine affects
// all alike, and prints a row for each.
func compare(what, whose string, rounds int, services []string, measure func(service string) pamhost.Report) {
	samples := map[string]*sample{}
	for range rounds {
		for _, service := range services {
			if samples[service] == nil {
				samples[service] = &sample{}
			}
			samples[service].add(measure(service))
		}
	}
	for _, service := range services {
		p50, p95 := samples[service].percentile(50), samples[service].percentile(95)
		fmt.Printf("%-42s %-7s p50 %8.3f ms  p95 %8.3f ms", what, service, p50, p95)
		if base := samples[peer]; base != nil && service != peer {
			fmt.Printf("   %.2fx, %.2fx %s", p50/base.percentile(50), p95/base.percentile(95), whose)
		}
		fmt.Println()
	}
}

// BenchmarkAgainstTheCModule compares with the C module. The goals are at most 0.7 of
// its time for a call that has nothing to do, 1.1 of its time for a mapped
// certificate, and no more than its memory.
func BenchmarkAgainstTheCModule(b *testing.B) {
	s := newSystem(b)
	all := []string{empty, peer, ours}
	// A new process for each login, as with cockpit-session.
	compare("user name set, new process", theC, 100, all, func(service string) pamhost.Report {
		return s.host("-s", service, "-u", "alice", "-t")
	})
	compare("user name set, again in the same process", theC, 5, all, func(service string) pamhost.Report {
		return s.host("-s", service, "-u", "alice", "-t", "-n", "200", "-w", "10")
	})
	mapped := []string{peer, ours}
	compare("mapped, new process", theC, 60, mapped, func(service string) pamhost.Report {
		report := s.host("-s", service, "-t")
		if report.Get("user") != "alice" {
			b.Fatalf("%s: PAM result %s, user %q", service, report.Get("result"), report.Get("user"))
		}
		return report
	})
	compare("mapped, again in the same process", theC, 5, mapped, func(service string) pamhost.Report {
		return s.host("-s", service, "-t", "-n", "60", "-w", "5")
	})
	s.exported(func() {
		compare("no certificate exported, new process", theC, 100, all, func(service string) pamhost.Report {
			return s.host("-s", service, "-t")
		})
	})

	memory, threads := map[string]map[string]float64{}, map[string]string{}
	for _, service := range all {
		memory[service] = map[string]float64{}
		report := s.host("-s", service, "-k")
		threads[service] = report["threads"][0]
		for _, key := range []string{"rss_kib", "pss_kib"} {
			value, err := strconv.ParseFloat(report[key][0], 64)
			if err != nil {
				b.Fatal(err)
			}
			memory[service][key] = value
		}
	}
	for _, service := range all {
		fmt.Printf("%-42s %-7s", "memory in the host during a session", service)
		for _, key := range []string{"rss_kib", "pss_kib"} {
			fmt.Printf("  %s %5.0f (%.2fx)", key, memory[service][key], memory[service][key]/memory[peer][key])
		}
		fmt.Printf("  threads %s\n", threads[service])
	}
}

// exported calls f while no certificate is exported.
func (s *system) exported(f func()) {
	dir := filepath.Join(s.dir, "run/cockpit")
	if err := os.Rename(dir, dir+".away"); err != nil {
		s.b.Fatal(err)
	}
	f()
	if err := os.Rename(dir+".away", dir); err != nil {
		s.b.Fatal(err)
	}
}

// light starts this machine's own SSSD, which validates certificates.
func light(b *testing.B, ca *pki.Authority) *sssd.SSSD {
	s := sssd.New(b, ca.PEM())
	s.AddUser("alice", 61001)
	s.Start(sssd.Mapping(b, "alice"))
	return s
}

// release is the commit of release 0.1.0.
const release = "d9b6751"

// released builds the module of that release, if this is a git clone.
func released(b *testing.B) string {
	dir := b.TempDir()
	script := fmt.Sprintf("git -C %s archive %s | tar -x -C %s && make -s -C %[3]s GO=go build/pam_cockpit_cert.so",
		machine.Source(b), release, dir)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		b.Skipf("release 0.1.0 cannot be built here: %v: %s", err, out)
	}
	return filepath.Join(dir, "build/pam_cockpit_cert.so")
}

// BenchmarkAgainstTheRelease compares with release 0.1.0, which made its calls to the
// bus and to SSSD one after the other. The goal is at most 0.85 of its time.
func BenchmarkAgainstTheRelease(b *testing.B) {
	before := released(b)
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	light(b, ca)
	cockpittls.Export(b, cockpittls.From257, alice)
	dir := b.TempDir()
	pamhost.Service(b, dir, peer, "auth required "+before+"\n")
	pamhost.Service(b, dir, ours, "auth required "+pamhost.Built(b, "pam_cockpit_cert.so")+"\n")
	instance := cockpittls.NewInstance(b, alice.Fingerprint())
	compare("mapped and validated, new process", "release 0.1.0's", 100, []string{peer, ours}, func(service string) pamhost.Report {
		report := pamhost.Host{Args: []string{"-d", dir, "-s", service, "-t"}, Prepare: instance.Enter}.Run(b)
		if report.Get("user") != "alice" {
			b.Fatalf("%s: PAM result %s, user %q", service, report.Get("result"), report.Get("user"))
		}
		return report
	})
}

// BenchmarkGrowth measures a mapped call with an increasing number of exported files,
// and of logins at the same time, as ratios to the first row of each.
func BenchmarkGrowth(b *testing.B) {
	ca := pki.NewAuthority("Lab CA")
	alice := ca.Issue("alice")
	light(b, ca)
	cockpittls.Export(b, cockpittls.From257, alice)
	dir := b.TempDir()
	pamhost.Service(b, dir, "cockpit", "auth required "+pamhost.Built(b, "pam_cockpit_cert.so")+" timeout=120\n")
	host := pamhost.Host{Prepare: cockpittls.NewInstance(b, alice.Fingerprint()).Enter}
	measure := func(arguments ...string) sample {
		var s sample
		host.Args = append([]string{"-d", dir, "-t", "-w", "3"}, arguments...)
		report := host.Run(b)
		if report.Get("user") != "alice" || report.Get("different_count") != "0" {
			b.Fatalf("PAM result %s, user %q, %s others: %v", report.Get("result"), report.Get("user"), report.Get("different_count"), report["different"])
		}
		s.add(report)
		return s
	}

	var first sample
	for _, logins := range []int{1, 10, 100, 300} {
		s := measure("-j", strconv.Itoa(logins), "-n", "3")
		if first == nil {
			first = s
		}
		row(fmt.Sprintf("mapped, %d logins at the same time", logins), s, first)
	}
	first = nil
	files := 1
	for _, want := range []int{1, 100, 10_000} {
		for ; files < want; files++ {
			cockpittls.Export(b, cockpittls.From257, pki.Certificate{DER: []byte(strconv.Itoa(files))})
		}
		s := measure("-n", "60")
		if first == nil {
			first = s
		}
		row(fmt.Sprintf("mapped, %d files exported", want), s, first)
	}
}

// BenchmarkStart measures what a login takes without a bus and SSSD: two processes,
// the sandbox, Go's start, and their end. Beside it are executed programs that do
// nothing.
func BenchmarkStart(b *testing.B) {
	alice := pki.NewAuthority("Lab CA").Issue("alice")
	cockpittls.Export(b, cockpittls.From257, alice)
	dir := b.TempDir()
	pamhost.Service(b, dir, "cockpit", "auth required "+pamhost.Built(b, "pam_cockpit_cert.so")+"\n")
	const turn = 10
	host := pamhost.Host{
		Args:    []string{"-d", dir, "-t", "-n", strconv.Itoa(turn)},
		Prepare: cockpittls.NewInstance(b, alice.Fingerprint()).Enter,
	}

	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "nothing")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
		b.Fatalf("building a Go program: %v: %s", err, out)
	}
	execute := func(program string, s *sample) {
		for range turn {
			start := time.Now()
			if err := exec.Command(program).Run(); err != nil {
				b.Fatal(err)
			}
			*s = append(*s, float64(time.Since(start).Microseconds())/1000)
		}
	}

	var c, inGo, login sample
	for range 20 {
		execute("/bin/true", &c)
		execute(program, &inGo)
		report := host.Run(b)
		if got := report.Get("result"); got != pamhost.AuthinfoUnavail {
			b.Fatalf("PAM result %s, although there is no bus", got)
		}
		login.add(report)
	}
	row("an executed C program, which does nothing", c, c)
	row("an executed Go program, which does nothing", inGo, c)
	row("a login without a bus, in the same process", login, c)
}

func row(what string, s, first sample) {
	fmt.Printf("%-42s         p50 %8.3f ms  p95 %8.3f ms   %.2fx, %.2fx the first\n", what,
		s.percentile(50), s.percentile(95), s.percentile(50)/first.percentile(50), s.percentile(95)/first.percentile(95))
}
