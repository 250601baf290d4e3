// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// socket returns an End, and the party at its other end.
func socket(t *testing.T, name string) (End, *net.UnixConn) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	end, err := OpenEnd(pair[0], name)
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(pair[1]), name+"'s party")
	conn, err := net.FileConn(other)
	other.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end.Close()
		conn.Close()
	})
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return end, conn.(*net.UnixConn)
}

// joined joins two parties, and returns them and a channel with join's result.
func joined(t *testing.T) (near, far *net.UnixConn, ended <-chan error) {
	t.Helper()
	nearEnd, near := socket(t, "near")
	farEnd, far := socket(t, "far")
	return near, far, run(nearEnd, farEnd)
}

func run(near, far End) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- join(near, far, func(func() bool) error { return move(near, far) }) }()
	return ended
}

func wait(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the pipe does not end")
	}
}

func say(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, from io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != text {
		t.Fatalf("heard %q, %v, want %q", got[:n], err, text)
	}
}

func hearEnd(t *testing.T, from io.Reader) {
	t.Helper()
	if n, err := from.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("heard %d bytes, %v, want the end", n, err)
	}
}

func TestEachDirectionEndsByItself(t *testing.T) {
	for _, who := range []string{"near", "far"} {
		t.Run(who+" first", func(t *testing.T) {
			first, second, ended := joined(t)
			if who == "far" {
				first, second = second, first
			}
			say(t, first, "question")
			first.CloseWrite()
			hear(t, second, "question")
			hearEnd(t, second)
			say(t, second, "a long ")
			say(t, second, "answer")
			hear(t, first, "a long answer")
			select {
			case <-ended:
				t.Fatal("the pipe ended with one direction")
			default:
			}
			say(t, second, "\x00")
			second.CloseWrite()
			hear(t, first, "\x00")
			hearEnd(t, first)
			wait(t, ended)
		})
	}
}

func TestAPartyThatIsGoneIsGoneForTheOther(t *testing.T) {
	for _, who := range []string{"near", "far"} {
		t.Run(who, func(t *testing.T) {
			leaving, staying, ended := joined(t)
			if who == "far" {
				leaving, staying = staying, leaving
			}
			say(t, leaving, "farewell")
			leaving.Close()
			hear(t, staying, "farewell")
			hearEnd(t, staying)
			// The pipe ends although the party that stays is silent, and has
			// closed nothing.
			wait(t, ended)
			// The connection is not half-closed: writing to it fails.
			for deadline := time.Now().Add(patience); ; {
				_, err := staying.Write([]byte("hello?"))
				if errors.Is(err, syscall.EPIPE) {
					break
				}
				if err != nil || time.Now().After(deadline) {
					t.Fatalf("writing to nobody: %v", err)
				}
			}
		})
	}
}

func TestHangUpEndsBothDirections(t *testing.T) {
	nearEnd, near := socket(t, "near")
	farEnd, far := socket(t, "far")
	ended := run(nearEnd, farEnd)
	say(t, near, "x")
	hear(t, far, "x")
	farEnd.HangUp()
	hearEnd(t, near)
	hearEnd(t, far)
	wait(t, ended)
}

// With both directions full, each party waits in poll(2) for room to write. When
// one of them goes, the other must see that soon.
func TestAPartyThatGoesWhileBothDirectionsAreFull(t *testing.T) {
	for _, who := range []string{"near", "far"} {
		t.Run(who, func(t *testing.T) {
			leaving, staying, ended := joined(t)
			if who == "far" {
				leaving, staying = staying, leaving
			}
			fill(t, leaving, staying)
			raw, err := staying.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			leaving.Close()
			if err := raw.Control(func(fd uintptr) {
				// POLLHUP is reported although it is not asked for.
				events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
				if n, err := unix.Poll(events, int(patience.Milliseconds())); n != 1 || events[0].Revents&unix.POLLHUP == 0 {
					t.Errorf("the party that stays sees %#x, %v", events[0].Revents, err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			wait(t, ended)
		})
	}
}

// fill writes from both sides until neither takes any more for a while.
func fill(t *testing.T, parties ...*net.UnixConn) {
	t.Helper()
	for stuck := 0; stuck < 2*len(parties); {
		for _, party := range parties {
			party.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			switch _, err := party.Write(make([]byte, 64<<10)); {
			case errors.Is(err, os.ErrDeadlineExceeded):
				stuck++
			case err != nil:
				t.Fatal(err)
			default:
				stuck = 0
			}
		}
	}
}

// A slow reader slows the writer: only what fits into the sockets' buffers and
// the relay's is under way.
func TestBackPressure(t *testing.T) {
	for _, who := range []string{"near", "far"} {
		t.Run(who, func(t *testing.T) {
			writer, reader, ended := joined(t)
			if who == "far" {
				writer, reader = reader, writer
			}
			block := make([]byte, 64<<10)
			written := 0
			// The reader reads nothing until the writer has been stuck for long.
			for {
				writer.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
				n, err := writer.Write(block)
				written += n
				if errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if written > 16<<20 {
					t.Fatalf("%d bytes are under way, and nobody reads", written)
				}
			}
			writer.CloseWrite()
			if n, err := io.Copy(io.Discard, reader); err != nil || int(n) != written {
				t.Errorf("read %d bytes, %v, of %d", n, err, written)
			}
			reader.Close()
			wait(t, ended)
		})
	}
}

// Both directions at once, in pieces of every size, arrive unchanged.
func TestEveryByteArrives(t *testing.T) {
	size := 64 << 20
	if testing.Short() {
		size = 4 << 20
	}
	near, far, ended := joined(t)
	var parties sync.WaitGroup
	for i, direction := range [][2]*net.UnixConn{{near, far}, {far, near}} {
		from, to := direction[0], direction[1]
		sent, received := sha256.New(), sha256.New()
		parties.Add(2)
		go func() {
			defer parties.Done()
			random := rand.NewChaCha8([32]byte{byte(i)})
			sizes := rand.New(random)
			block := make([]byte, 256<<10)
			for left := size; left > 0; {
				n := min(left, 1+sizes.IntN(1<<sizes.IntN(19)))
				_, _ = random.Read(block[:n])
				sent.Write(block[:n])
				if _, err := from.Write(block[:n]); err != nil {
					t.Error(err)
					break
				}
				left -= n
			}
			from.CloseWrite()
		}()
		go func() {
			defer parties.Done()
			if n, err := io.Copy(received, to); err != nil || int(n) != size {
				t.Errorf("read %d bytes, %v, of %d", n, err, size)
			}
		}()
		defer func() {
			if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
				t.Error("what arrived is not what was sent")
			}
		}()
	}
	parties.Wait()
	wait(t, ended)
}

func TestOpenTakesStreamsOnly(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	datagrams, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(datagrams)
	for name, fd := range map[string]int{"a file": int(file.Fd()), "a device": int(null.Fd()), "a datagram socket": datagrams} {
		if _, err := OpenEnd(fd, "it"); !errors.Is(err, ErrNotAStream) {
			t.Errorf("%s: %v, want %v", name, err, ErrNotAStream)
		}
	}
	if _, err := OpenEnd(-1, "it"); !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "it:") {
		t.Errorf("a closed descriptor: %v", err)
	}
}
