// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package services tests that the module does no harm in services other than
// Cockpit's: sshd, su, sudo and login behave as without the module.
package services

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program on a pseudo-terminal, as its user sees it.
type terminal struct {
	control *os.File
	command *exec.Cmd
	seen    chan string
	ended   chan struct{}
	screen  string // all of its output
	read    int    // how much of the output wait has passed
}

func startOnTerminal(name string, arguments ...string) (*terminal, error) {
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlocking the terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("asking for the terminal's number: %w", err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer side.Close()

	t := &terminal{control: control, command: exec.Command(name, arguments...), seen: make(chan string, 100), ended: make(chan struct{})}
	t.command.Stdin, t.command.Stdout, t.command.Stderr = side, side, side
	t.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := t.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = t.command.Wait()
		close(t.ended)
	}()
	go t.watch()
	return t, nil
}

// watch reads the screen until the program has ended. Before that, EIO only means that
// no process has the terminal open: login(1) hangs it up, and opens it again.
func (t *terminal) watch() {
	defer close(t.seen)
	buffer := make([]byte, 4096)
	for {
		n, err := t.control.Read(buffer)
		if err == nil {
			t.seen <- string(buffer[:n])
			continue
		}
		select {
		case <-t.ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// wait returns the first of the texts that appears, or "" if none does.
func (t *terminal) wait(texts ...string) string {
	timeout := time.After(20 * time.Second)
	for {
		for _, text := range texts {
			if strings.Contains(t.screen[t.read:], text) {
				t.read = len(t.screen)
				return text
			}
		}
		select {
		case more, open := <-t.seen:
			if !open {
				return ""
			}
			t.screen += more
		case <-timeout:
			return ""
		}
	}
}

// write types a line.
func (t *terminal) write(line string) bool {
	_, err := t.control.WriteString(line + "\n")
	return err == nil
}

func (t *terminal) close() {
	_ = t.command.Process.Kill()
	<-t.ended
	t.control.Close()
}
