// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package journal finds logins by certificate in systemd's journal: which were
// accepted, which were refused and why, and the other lines about a login.
package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Journal is the journal of a system.
type Journal struct {
	Root string // of the system; "/" is the running one
}

// ErrHidden says that journalctl showed this user only a part of the journal.
var ErrHidden = errors.New("this user may not read the system's journal: try again as root, or as a member of the group systemd-journal")

// Entry is a line of the journal.
type Entry struct {
	Time       time.Time `json:"time"`
	Identifier string    `json:"program"`
	Message    string    `json:"message"`

	boot, pid, uid, unit string
	priority             int
}

// fields are the fields of systemd.journal-fields(7) that an Entry needs.
const fields = "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_BOOT_ID,_PID,_UID,_SYSTEMD_UNIT"

// errEnough ends reading before the end of the journal.
var errEnough = errors.New("enough")

// read calls f for the entries that journalctl's arguments select, until f
// returns an error. errEnough is not returned.
func (j Journal) read(ctx context.Context, f func(Entry) error, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// With --all, long messages are not left out.
	all := []string{"--no-pager", "--all", "--output=json", "--output-fields=" + fields}
	if j.Root != "/" {
		all = append(all, "--root="+j.Root)
	}
	command := exec.CommandContext(ctx, "journalctl", append(all, args...)...)
	// Untranslated texts, which are compared below, without colours.
	command.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); errors.Is(err, exec.ErrNotFound) {
		return errors.New("there is no journalctl here: only systemd's journal can be read")
	} else if err != nil {
		return err
	}
	failed := entries(out, f)
	if failed != nil {
		cancel()
	}
	err = command.Wait()
	switch {
	case errors.Is(failed, errEnough):
		return nil
	case failed != nil:
		return failed
	case ctx.Err() != nil:
		return ctx.Err()
	case os.Geteuid() != 0 && complaints.Len() > 0:
		return ErrHidden
	case err != nil:
		return fmt.Errorf("journalctl: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	return nil
}

// entries calls f for each object in journalctl's output.
func entries(out io.Reader, f func(Entry) error) error {
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		// Before release 256 "-- No entries --" comes as JSON, too.
		if bytes.HasPrefix(line, []byte("{")) {
			entry, err := parse(line)
			if err != nil {
				return err
			}
			if err := f(entry); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading from journalctl: %w", err)
		}
	}
}

func parse(line []byte) (Entry, error) {
	var object map[string]any
	if err := json.Unmarshal(line, &object); err != nil {
		return Entry{}, fmt.Errorf("journalctl's JSON: %w", err)
	}
	entry := Entry{
		Identifier: text(object["SYSLOG_IDENTIFIER"]),
		Message:    text(object["MESSAGE"]),
		boot:       text(object["_BOOT_ID"]),
		pid:        text(object["_PID"]),
		uid:        text(object["_UID"]),
		unit:       text(object["_SYSTEMD_UNIT"]),
		priority:   unknownPriority,
	}
	if micros, err := strconv.ParseInt(text(object["__REALTIME_TIMESTAMP"]), 10, 64); err == nil {
		entry.Time = time.UnixMicro(micros)
	}
	if priority, err := strconv.Atoi(text(object["PRIORITY"])); err == nil {
		entry.priority = priority
	}
	return entry, nil
}

// Levels of syslog(3).
const (
	warning         = 4
	unknownPriority = 6
)

// text returns the text of a field: a string, an array of bytes if it is not
// UTF-8, or an array of these if the entry has the field several times.
func text(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []any:
		var raw []byte
		for _, element := range value {
			number, ok := element.(float64)
			if !ok {
				return text(element)
			}
			raw = append(raw, byte(number))
		}
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	default:
		return ""
	}
}
