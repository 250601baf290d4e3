// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package machine

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Guest lists the packages that a recipe also needs for BootVM: a kernel with
// drivers for virtual machines, and an SSH server.
var Guest = []string{"initramfs-tools", "iproute2", "linux-image-cloud-amd64", "openssh-server"}

// emulator is the system in which QEMU runs. Debian 12's QEMU fails at random
// without hardware virtualization.
var emulator = Recipe{Suite: "trixie", Packages: []string{"qemu-system-x86"}}

// guestAddress is the guest's address in the network that QEMU emulates, see the
// documentation of -netdev user.
const guestAddress = "10.0.2.15/24"

// vmBootTime is how long booting may take when every instruction is emulated, beside
// much other work.
const vmBootTime = 20 * time.Minute

// BootVM starts the overlay's own kernel and systemd in a virtual machine, which
// only has control groups of version 2, whatever this machine has. It emulates
// every instruction: that needs no hardware, but takes long. The machine cannot
// reach any network, and is stopped when the test ends. It does not write to the
// overlay.
func BootVM(t testing.TB, o *Overlay) *Machine {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skipf("there is no recipe for a virtual machine of %s here", runtime.GOARCH)
	}
	dir := t.TempDir()
	shell := newSSH(t, dir, o)
	command := qemu(t, dir, shell.port, o)
	m := newMachine(command, vmBootTime)
	m.Shell = Shell{shell.command}
	if err := command.Start(); err != nil {
		t.Fatalf("starting QEMU: %v", err)
	}
	m.started(command)
	m.stop = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		<-m.ended
	})
	t.Cleanup(m.stop)
	m.running(t)
	return m
}

// qemu prepares the emulator for a copy of the overlay.
func qemu(t testing.TB, dir string, port int, o *Overlay) *exec.Cmd {
	t.Helper()
	o.Sh(t, `cat >/etc/systemd/system/lab-network.service <<-end
		[Unit]
		Before=ssh.service
		[Service]
		Type=oneshot
		ExecStart=ip link set lo up
		ExecStart=ip link set eth0 up
		ExecStart=ip address add `+guestAddress+` dev eth0
		[Install]
		WantedBy=multi-user.target
		end
		systemctl -q enable lab-network.service ssh.service
		# It would read what the kernel's console is for.
		systemctl -q mask serial-getty@ttyS0.service`)
	image := filepath.Join(dir, "image")
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-d", o.Dir, image, "8G").CombinedOutput(); err != nil {
		t.Fatalf("making a file system of the overlay: %v\n%s", err, out)
	}
	for link, pattern := range map[string]string{"kernel": "/boot/vmlinuz-*", "initrd": "/boot/initrd.img-*"} {
		found, err := filepath.Glob(o.Dir + pattern)
		if err != nil || len(found) != 1 {
			t.Fatalf("kernels %s: %v, %v", pattern, found, err)
		}
		if err := copyFile(found[0], filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	q := NewOverlay(t, Root(t, emulator))
	q.BindWritable(t, dir)
	return q.Command(context.Background(), "qemu-system-x86_64",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "4096",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", dir+"/kernel", "-initrd", dir+"/initrd",
		"-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off audit=0 quiet",
		"-drive", "if=virtio,format=raw,cache=unsafe,file="+image,
		"-device", "virtio-rng-pci",
		"-netdev", fmt.Sprintf("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:%d-:22", port),
		"-device", "virtio-net-pci,netdev=net")
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// ssh runs commands in a virtual machine, all over one connection.
type ssh struct {
	dir  string
	port int
}

// newSSH makes a key, and lets it log in to the overlay.
func newSSH(t testing.TB, dir string, o *Overlay) ssh {
	t.Helper()
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/key").CombinedOutput()
	if err != nil {
		t.Fatalf("making a key: %v\n%s", err, out)
	}
	public, err := os.ReadFile(dir + "/key.pub")
	if err != nil {
		t.Fatal(err)
	}
	o.Write(t, "/root/.ssh/authorized_keys", 0o600, public)
	o.Write(t, "/etc/ssh/sshd_config.d/lab.conf", 0o644, []byte("MaxSessions 100\nUsePAM no\n"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return ssh{dir, port}
}

func (s ssh) command(ctx context.Context, args []string) *exec.Cmd {
	words := append([]string{"env", "-i"}, environment...)
	var line strings.Builder
	for _, word := range append(words, args...) {
		fmt.Fprintf(&line, " '%s'", strings.ReplaceAll(word, "'", `'\''`))
	}
	command := exec.CommandContext(ctx, "ssh", "-q", "-i", s.dir+"/key", "-p", fmt.Sprint(s.port),
		"-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "ControlMaster=auto", "-o", "ControlPath="+s.dir+"/mux", "-o", "ControlPersist=yes",
		"root@127.0.0.1", "cd /;"+line.String())
	// The process with the connection keeps the output open until the command ends.
	command.WaitDelay = 5 * time.Second
	return command
}
