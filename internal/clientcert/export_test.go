// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// byInstance calls ByInstance, which must leave no descriptor behind.
func byInstance(t *testing.T, dir, instance string) (string, error) {
	t.Helper()
	before := descriptors(t)
	c, err := Source{TLSDir: dir}.ByInstance(context.Background(), instance)
	if after := descriptors(t); before != after {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	return outcome(c, err), err
}

func TestExportedByEveryRelease(t *testing.T) {
	alice, bob := certificateAlice.Fingerprint(), certificateBob.Fingerprint()
	random := func(n int) string { return fmt.Sprintf("%064x", n) }
	plainAlice, plainBob := string(certificateAlice.PEM()), string(certificateBob.PEM())
	withAlice, withBob := header(alice)+plainAlice, header(bob)+plainBob

	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"up to 249":                   {map[string]string{alice: plainAlice, bob: plainBob}, alice},
		"250 to 256":                  {map[string]string{random(1): withBob, random(2): withAlice, "server/cert": plainBob}, alice},
		"257 on":                      {map[string]string{"clients/" + random(1): withBob, "clients/" + random(2): withAlice, "server/cert": plainBob}, alice},
		"a random name that is ours":  {map[string]string{alice: withAlice}, alice},
		"several connections":         {map[string]string{"clients/1": withAlice, "clients/2": withAlice, "clients/3": withAlice}, alice},
		"an upgrade from 256":         {map[string]string{"clients/1": withBob, random(2): withAlice}, alice},
		"an upgrade from 249":         {map[string]string{"clients/1": withBob, alice: plainAlice}, alice},
		"empty files, and short ones": {map[string]string{"clients/1": "", "clients/2": "0", "clients/3": header(alice)[:80], "clients/4": withAlice}, alice},

		"nobody is connected":                  {map[string]string{"clients/x/y": ""}, "none"},
		"only others are":                      {map[string]string{"clients/1": withBob}, "none"},
		"plain, but under a random name":       {map[string]string{random(1): plainAlice, "clients/1": plainAlice}, "none"},
		"with a header in other places":        {map[string]string{"server/1": withAlice, "clients/x/1": withAlice}, "none"},
		"another's control group, our own PEM": {map[string]string{"clients/1": header(bob) + plainAlice}, "none"},
		"a control group with a prefix":        {map[string]string{"clients/1": "0::/x" + withAlice[len("0::"):]}, "none"},
		"a control group of version 1":         {map[string]string{"clients/1": "1:name=systemd:" + withAlice[len("0::"):]}, "none"},
		"a control group and more":             {map[string]string{"clients/1": strings.Replace(withAlice, "\n", "/\n", 1)}, "none"},
		"our control group as second line":     {map[string]string{"clients/1": "\n" + withAlice}, "none"},
		"a header that is cut off":             {map[string]string{"clients/1": header(alice)[:len(header(alice))-1]}, "none"},

		"our control group, another's PEM": {map[string]string{"clients/1": header(alice) + plainBob}, "rejected"},
		"our name, another's PEM":          {map[string]string{alice: plainBob}, "rejected"},
		"a good file beside a bad one":     {map[string]string{"clients/1": header(alice) + plainBob, "clients/2": withAlice}, alice},
		"the same the other way round":     {map[string]string{"clients/1": withAlice, "clients/2": header(alice) + plainBob}, alice},
		"a bad one by name":                {map[string]string{alice: plainBob, "clients/2": withAlice}, alice},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				write(dir, name, text)
			}
			if got, err := byInstance(t, dir, alice); got != test.want {
				t.Errorf("got %s (%v), want %s", got, err, test.want)
			}
		})
	}
	for name, text := range badTexts {
		for file, text := range map[string]string{alice: text, "clients/1": header(alice) + text} {
			t.Run(name+" in "+file, func(t *testing.T) {
				dir := t.TempDir()
				write(dir, file, text)
				if got, err := byInstance(t, dir, alice); got != "rejected" {
					t.Errorf("got %s (%v)", got, err)
				}
			})
		}
	}
}

// TestFilesOfOtherTypes checks that links, devices, FIFOs and the like are
// rejected under the instance's name, ignored in a search, and never waited for.
func TestFilesOfOtherTypes(t *testing.T) {
	alice := certificateAlice.Fingerprint()
	good := filepath.Join(t.TempDir(), "good")
	for name, create := range map[string]func(path string) error{
		"a symbolic link":       func(path string) error { return os.Symlink(good, path) },
		"a dangling link":       func(path string) error { return os.Symlink("/nowhere", path) },
		"a link to itself":      func(path string) error { return os.Symlink(path, path) },
		"a FIFO":                func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory":           func(path string) error { return os.Mkdir(path, 0o700) },
		"a character device":    func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) },
		"a device that is none": func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(4095, 1))) },
		"a block device":        func(path string) error { return unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(4095, 1))) },
		"a socket":              func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"a listener's own socket": func(path string) error {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				listener.SetUnlinkOnClose(false)
				listener.Close()
			}
			return err
		},
	} {
		for _, header := range []string{"", header(alice)} {
			must(os.WriteFile(good, []byte(header+string(certificateAlice.PEM())), 0o600))
			file, want := alice, "rejected"
			if header != "" {
				file, want = "clients/1", "none"
			}
			t.Run(name+" as "+filepath.Dir(file), func(t *testing.T) {
				dir, err := os.MkdirTemp("", "cc")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				path := filepath.Join(dir, file)
				must(os.MkdirAll(filepath.Dir(path), 0o700))
				if err := create(path); err != nil {
					t.Skipf("cannot make one: %v", err)
				}
				if got, err := byInstance(t, dir, alice); got != want {
					t.Errorf("got %s (%v), want %s", got, err, want)
				}
				// If a file system does not tell the type, opening the file does.
				f, err := openDirectory(unix.AT_FDCWD, filepath.Dir(path), 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.close()
				s := search{instance: alice, header: []byte(header)}
				if s.candidate(f, filepath.Base(path), make([]byte, len(header))) || s.failed != nil {
					t.Errorf("found %v, failed %v", s.found, s.failed)
				}
			})
		}
	}
}

func TestDirectoriesThatFail(t *testing.T) {
	alice := certificateAlice.Fingerprint()
	for name, test := range map[string]struct {
		prepare func(dir string) error
		want    string
	}{
		"the directory does not exist": {os.RemoveAll, "none"},
		"it is a file":                 {func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) }, "failed"},
		"clients is a file":            {func(dir string) error { return os.WriteFile(dir+"/clients", nil, 0o600) }, "failed"},
		"clients is a symbolic link":   {func(dir string) error { return os.Symlink(export(t)+"/clients", dir+"/clients") }, "failed"},
		"the directory is a symbolic link": {func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.Symlink(export(t), dir))
		}, alice},
		"it is empty": {func(string) error { return nil }, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tls")
			must(os.Mkdir(dir, 0o700))
			if err := test.prepare(dir); err != nil {
				t.Fatal(err)
			}
			if got, err := byInstance(t, dir, alice); got != test.want {
				t.Errorf("got %s (%v), want %s", got, err, test.want)
			}
		})
	}
}

// asNobody runs f without root's access to files.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestWithoutPermission(t *testing.T) {
	alice := certificateAlice.Fingerprint()
	open := func(dir string) error { return os.Chmod(dir, 0o755) }
	for name, test := range map[string]struct {
		forbid func(dir string) error
		want   string
	}{
		"to look into the directory": {func(dir string) error { return os.Chmod(dir, 0) }, "failed"},
		"to look into clients":       {func(dir string) error { return errors.Join(open(dir), os.Chmod(dir+"/clients", 0)) }, "failed"},
		"to read one of the files": {func(dir string) error {
			return errors.Join(open(dir), open(dir+"/clients"), os.Chmod(dir+"/clients/1", 0), os.Chmod(dir+"/clients/2", 0o644))
		}, "failed"},
		"to read a file, where another holds the same": {func(dir string) error {
			write(dir, "clients/3", header(alice)+string(certificateAlice.PEM()))
			return errors.Join(open(dir), open(dir+"/clients"), os.Chmod(dir+"/clients/1", 0), os.Chmod(dir+"/clients/2", 0o644), os.Chmod(dir+"/clients/3", 0o644))
		}, alice},
		"to read a file, where another is refused": {func(dir string) error {
			write(dir, "clients/3", header(alice)+"rubbish")
			return errors.Join(open(dir), open(dir+"/clients"), os.Chmod(dir+"/clients/1", 0), os.Chmod(dir+"/clients/2", 0o644), os.Chmod(dir+"/clients/3", 0o644))
		}, "rejected"},
		"to read the file of that name": {func(dir string) error {
			write(dir, alice, string(certificateAlice.PEM()))
			return errors.Join(open(dir), os.RemoveAll(dir+"/clients"), os.Chmod(dir+"/"+alice, 0))
		}, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "cc")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(dir, 0o700); os.Chmod(dir+"/clients", 0o700); os.RemoveAll(dir) })
			must(os.Rename(export(t)+"/clients", dir+"/clients"))
			if err := test.forbid(dir); err != nil {
				t.Fatal(err)
			}
			asNobody(t, func() {
				if got, err := byInstance(t, dir, alice); got != test.want {
					t.Errorf("got %s (%v), want %s", got, err, test.want)
				}
			})
		})
	}
}

// TestOneCapabilityIsEnough reads the files that cockpit-tls's user exported, as
// root with CAP_DAC_READ_SEARCH as the only capability.
func TestOneCapabilityIsEnough(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	alice := certificateAlice.Fingerprint()
	dir := export(t)
	for name, mode := range map[string]os.FileMode{"clients/1": 0o400, "clients/2": 0o400, "clients": 0o700, "": 0o700} {
		must(os.Chmod(filepath.Join(dir, name), mode))
		if err := os.Chown(filepath.Join(dir, name), 65534, 65534); err != nil {
			t.Skip(err)
		}
	}
	for capabilities, want := range map[uint32]string{1 << unix.CAP_DAC_READ_SEARCH: alice, 0: "failed"} {
		withCapabilities(t, capabilities, func() {
			if got, err := byInstance(t, dir, alice); got != want {
				t.Errorf("got %s (%v), want %s", got, err, want)
			}
		})
	}
}

// withCapabilities runs f as root with these capabilities only.
func withCapabilities(t *testing.T, capabilities uint32, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends here
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: capabilities, Permitted: capabilities}}
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestMalformedInstances(t *testing.T) {
	dir := export(t)
	if got, err := byInstance(t, dir, withoutCertificate); got != "none" {
		t.Errorf("got %s (%v)", got, err)
	}
	write(dir, withoutCertificate, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
	if got, err := byInstance(t, dir, withoutCertificate); got != "none" {
		t.Errorf("got %s (%v)", got, err)
	}
	alice := certificateAlice.Fingerprint()
	for _, instance := range []string{"", "..", "clients/1", strings.ToUpper(alice), alice[1:], alice + "0", alice[:63] + "/", strings.Repeat("g", 64)} {
		if got, err := byInstance(t, dir, instance); got != "failed" {
			t.Errorf("%q: got %s (%v)", instance, got, err)
		}
	}
}

// TestSearchIsBounded checks that every entry of all directories counts, "." and
// ".." included.
func TestSearchIsBounded(t *testing.T) {
	alice := certificateAlice.Fingerprint()
	dir := t.TempDir()
	for i := range 10 {
		write(dir, fmt.Sprint(i), "")
	}
	for left, want := range map[int]bool{23: false, 24: true, 25: true} {
		s := search{instance: alice, header: []byte(header(alice)), left: left}
		for range 2 {
			f, err := openDirectory(unix.AT_FDCWD, dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			if s.scan(context.Background(), f) {
				t.Errorf("found %v", s.found)
			}
			f.close()
		}
		if (s.failed == nil) != want {
			t.Errorf("%d allowed: %v", left, s.failed)
		}
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := export(t)
	_, err := Source{TLSDir: dir}.ByInstance(ctx, certificateAlice.Fingerprint())
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
}

// TestFilesComeAndGo searches while connections are opened and closed.
func TestFilesComeAndGo(t *testing.T) {
	alice := certificateAlice.Fingerprint()
	dir := export(t)
	f, err := openDirectory(unix.AT_FDCWD, dir+"/clients", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	s := search{instance: alice, header: []byte(header(alice))}
	if s.candidate(f, "gone", make([]byte, len(s.header))) || s.failed != nil || s.rejected != nil {
		t.Errorf("a file that is gone: %v, %v", s.failed, s.rejected)
	}

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			path := fmt.Sprintf("%s/clients/%064x", dir, i)
			must(os.WriteFile(path+".new", []byte(header(certificateBob.Fingerprint())+string(certificateBob.PEM())), 0o400))
			must(os.Rename(path+".new", path))
			if i >= 10 {
				must(os.Remove(fmt.Sprintf("%s/clients/%064x", dir, i-10)))
			}
		}
	}()
	for range 2000 {
		c, err := Source{TLSDir: dir}.ByInstance(context.Background(), alice)
		if err != nil || c.Instance != alice {
			t.Errorf("%v", err)
			break
		}
	}
	close(stop)
	<-stopped
}
