// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Package enable turns logins with certificates on in cockpit.conf(5), and off
// again, by exactly what it changed.
package enable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/cockpitconf"
	"pam_cockpit_cert/internal/safefile"
)

// ConfigFile is Cockpit's configuration.
const ConfigFile = "/etc/cockpit/cockpit.conf"

// recordFile remembers what was changed. A service's record is beside it, see
// pamrule; services have no capital letters.
const recordFile = "/var/lib/pam_cockpit_cert/ENABLED.json"

// The two settings, and a third that is in their way.
const (
	WebService     = "WebService"
	Authentication = "ClientCertAuthentication"
	TLSCert        = "tls-cert"
	Command        = "Command"
	Action         = "action"
)

// Wanted are the settings for a Cockpit that needs command, or none.
func Wanted(command string) []cockpitconf.Change {
	wanted := []cockpitconf.Change{{Section: WebService, Key: Authentication, Value: "true"}}
	if command != "" {
		wanted = append(wanted, cockpitconf.Change{Section: TLSCert, Key: Command, Value: command})
	}
	return wanted
}

// Report says what was done.
type Report struct {
	File    string   `json:"file"`
	Changed bool     `json:"changed"`
	Done    []string `json:"done,omitempty"`
	Left    []string `json:"left,omitempty"` // what is not ours to undo
}

// record is what undoing needs.
type record struct {
	Created bool                 `json:"created"` // there was no file
	Changes []cockpitconf.Change `json:"changes"` // in their order
}

// On makes the wanted settings. What was changed is remembered before it is:
// a crash between the two leaves a memory of what did not happen, which Off
// compares with the file.
func On(root string, wanted []cockpitconf.Change) (Report, error) {
	path, err := resolve(root, ConfigFile)
	if err != nil {
		return Report{}, err
	}
	report := Report{File: path}
	report.Changed, err = safefile.Edit(path, func(old []byte) ([]byte, error) {
		file, err := cockpitconf.Parse(old)
		if err != nil {
			return nil, refused(path, err)
		}
		var changes []cockpitconf.Change
		for _, want := range wanted {
			if satisfied(file, want) {
				continue
			}
			edited, change := file.Set(want.Section, want.Key, want.Value)
			if change != nil {
				changes = append(changes, *change)
				report.Done = append(report.Done, said(*change))
			}
			file = edited
		}
		if len(changes) == 0 {
			return old, nil
		}
		return file.Bytes(), remember(root, old, changes)
	})
	return report, err
}

// satisfied reports whether a setting does already what is wanted, in whichever
// words: an administrator may give our command options.
func satisfied(file *cockpitconf.File, want cockpitconf.Change) bool {
	value, _ := file.Get(want.Section, want.Key)
	if want.Key == Authentication {
		return cockpitconf.Bool(value)
	}
	program, _ := Program(value)
	return program == want.Value
}

// Program is the program that a command runs, and its options.
func Program(command string) (program, options string) {
	program, options, _ = strings.Cut(strings.TrimSpace(command), " ")
	return program, strings.TrimSpace(options)
}

// said is a change in words, and undoneAs its undoing.
func said(change cockpitconf.Change) string     { return words(change, "it was %q") }
func undoneAs(change cockpitconf.Change) string { return words(change, "it is %q again") }

func words(change cockpitconf.Change, old string) string {
	text := fmt.Sprintf("[%s] %s = %s", change.Section, change.Key, change.Value)
	if change.Old != nil {
		text += " (" + fmt.Sprintf(old, *change.Old) + ")"
	}
	return text
}

// Off undoes what On did, and leaves what somebody changed since.
func Off(root string) (Report, error) {
	path, err := where(root, ConfigFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	report := Report{File: path}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return report, forget(root)
	}
	// The memory changes with the file, or On could run between the two.
	report.Changed, err = safefile.EditThen(path, func(old []byte) ([]byte, error) {
		done, err := recall(root)
		if err != nil || old == nil {
			return nil, err
		}
		file, err := cockpitconf.Parse(old)
		if err != nil {
			return nil, refused(path, err)
		}
		for _, change := range slices.Backward(done.Changes) {
			edited, undone := file.Undo(change)
			if undone {
				report.Done = append(report.Done, undoneAs(change))
			}
			file = edited
		}
		report.Left = left(file)
		if text := file.Bytes(); len(text) > 0 || !done.Created {
			return text, nil
		}
		return nil, nil
	}, func() error { return forget(root) })
	return report, err
}

// left says what still turns certificates on.
func left(file *cockpitconf.File) []string {
	var left []string
	if value, line := file.Get(WebService, Authentication); cockpitconf.Bool(value) {
		left = append(left, fmt.Sprintf("line %d: [%s] %s = %s", line, WebService, Authentication, value))
	}
	value, line := file.Get(TLSCert, Command)
	if program, _ := Program(value); filepath.Base(program) == "cockpit-cert-session" {
		left = append(left, fmt.Sprintf("line %d: [%s] %s = %s", line, TLSCert, Command, value))
	}
	return left
}

// Read returns the configuration that counts; one that is not there is empty.
func Read(root string) (*cockpitconf.File, error) {
	text, err := safefile.ReadFile(root, ConfigFile, safefile.MaxSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := cockpitconf.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(root, ConfigFile), err)
	}
	return file, nil
}

// where returns a file's real path; with fs.ErrNotExist, the path that it would have.
func where(root, name string) (string, error) {
	path, err := safefile.Resolve(root, name)
	if strings.HasPrefix(path, filepath.Join(root, "/nix/store")+"/") {
		return "", fmt.Errorf("%s is made by NixOS: set services.pam-cockpit-cert.enable in configuration.nix instead", filepath.Join(root, name))
	}
	return path, err
}

// resolve is where, with the file's folder made if there is none.
func resolve(root, name string) (string, error) {
	path, err := where(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = safefile.MakeDirectory(filepath.Dir(path))
	}
	return path, err
}

func recall(root string) (record, error) {
	var done record
	text, err := safefile.ReadFile(root, recordFile, safefile.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(text, &done); err != nil {
		return done, fmt.Errorf("%s: %w; remove it, and edit %s by hand", filepath.Join(root, recordFile), err, ConfigFile)
	}
	return done, nil
}

// remember adds changes to those of before. Undone backwards, one that somebody
// took back since is passed over, and one of a command that has moved since
// leads to what was before both.
func remember(root string, old []byte, changes []cockpitconf.Change) error {
	done, err := recall(root)
	if err != nil {
		return err
	}
	done.Created = old == nil || done.Created
	done.Changes = slices.DeleteFunc(done.Changes, func(before cockpitconf.Change) bool {
		return slices.ContainsFunc(changes, func(c cockpitconf.Change) bool { return reflect.DeepEqual(c, before) })
	})
	done.Changes = append(done.Changes, changes...)
	text, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return err
	}
	path, err := resolve(root, recordFile)
	if err != nil {
		return err
	}
	_, err = safefile.Edit(path, func([]byte) ([]byte, error) { return append(text, '\n'), nil })
	return err
}

func forget(root string) error {
	path, err := safefile.Resolve(root, recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(path)) // services may have records there
	return nil
}

func refused(path string, err error) error {
	return fmt.Errorf("%s is left alone: %w", path, err)
}
