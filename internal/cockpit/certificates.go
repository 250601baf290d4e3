// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package cockpit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/state"
)

// ConfigFile is Cockpit's configuration.
const ConfigFile = "/etc/cockpit/cockpit.conf"

// subject names the file in which the settings are remembered. Files beside it
// have the names of PAM services, which have no capital letters.
const subject = "ENABLED.json"

// The two settings that turn certificates on, and one that prevents them.
const (
	WebService     = "WebService"
	Authentication = "ClientCertAuthentication"
	TLSCert        = "tls-cert"
	Command        = "Command"
	Action         = "action"
)

// CertificateSettings returns the settings that turn certificates on. command is
// empty for a Cockpit that needs none.
func CertificateSettings(command string) []Change {
	wanted := []Change{{Section: WebService, Key: Authentication, Value: "true"}}
	if command != "" {
		wanted = append(wanted, Change{Section: TLSCert, Key: Command, Value: command})
	}
	return wanted
}

// Report says what was done.
type Report struct {
	File    string   `json:"file"`
	Changed bool     `json:"changed"`
	Done    []string `json:"done,omitempty"`
	Left    []string `json:"left,omitempty"` // settings of the administrator's, which stay
	Removed []string `json:"-"`              // directories
}

// record is what DisableCertificates needs to undo the changes.
type record struct {
	Created bool     `json:"created"` // the file did not exist
	Changes []Change `json:"changes"` // in their order
	// Directories that did not exist.
	Directories safefile.Directories `json:"directories,omitempty"`
}

// EnableCertificates makes the wanted settings. It remembers each change before
// it makes it. A crash in between leaves a record of a change that was not made;
// DisableCertificates compares the record with the file.
func EnableCertificates(root string, wanted []Change) (Report, error) {
	path, err := where(root, ConfigFile)
	made := safefile.Directories{}
	if errors.Is(err, fs.ErrNotExist) {
		err = made.Make(root, path)
	}
	if err != nil {
		return Report{}, err
	}
	file, err := safefile.Begin(path)
	if err != nil {
		return Report{}, err
	}
	defer file.End()
	edited, changes, err := apply(path, file.Text(), wanted)
	if err != nil {
		return Report{}, err
	}
	report := Report{File: path}
	if len(changes) == 0 {
		return report, nil
	}
	if err := remember(root, file.Text() == nil, changes, made); err != nil {
		return Report{}, err
	}
	for _, change := range changes {
		report.Done = append(report.Done, said(change))
	}
	report.Changed, err = file.Put(edited)
	return report, err
}

// PreviewCertificates returns what EnableCertificates would change.
func PreviewCertificates(root string, wanted []Change) (safefile.Change, error) {
	path, err := where(root, ConfigFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return safefile.Change{}, err
	}
	return safefile.Preview(path, func(old []byte) ([]byte, error) {
		edited, changes, err := apply(path, old, wanted)
		if err != nil || len(changes) == 0 {
			return old, err
		}
		return edited, nil
	})
}

// apply adds the settings that a file lacks.
func apply(path string, text []byte, wanted []Change) (edited []byte, changes []Change, err error) {
	config, err := ParseConfig(text)
	if err != nil {
		return nil, nil, refused(path, err)
	}
	for _, want := range wanted {
		if satisfied(config, want) {
			continue
		}
		edited, change := config.Set(want.Section, want.Key, want.Value)
		if change != nil {
			changes = append(changes, *change)
		}
		config = edited
	}
	return config.Bytes(), changes, nil
}

// satisfied reports whether the file already has the effect of a setting: its
// value may be another spelling of true, or the command with options.
func satisfied(file *Config, want Change) bool {
	value, _ := file.Get(want.Section, want.Key)
	if want.Key == Authentication {
		return IsTrue(value)
	}
	program, _ := SplitCommand(value)
	return program == want.Value
}

// SplitCommand splits a command into its program and its options. A carriage return, which
// a file with Windows line ends has there, is a part of the program's name for Cockpit.
func SplitCommand(command string) (program, options string) {
	const blanks = " \t"
	program, options, _ = strings.Cut(strings.Trim(command, blanks), " ")
	return program, strings.Trim(options, blanks)
}

// said describes a change, and undoneAs its undoing.
func said(change Change) string     { return words(change, "it was %q") }
func undoneAs(change Change) string { return words(change, "it is %q again") }

func words(change Change, old string) string {
	text := fmt.Sprintf("[%s] %s = %s", change.Section, change.Key, change.Value)
	if change.Old != nil {
		text += " (" + fmt.Sprintf(old, *change.Old) + ")"
	}
	return text
}

// DisableCertificates undoes what EnableCertificates did, except settings that
// were changed since. Another process that enables or disables waits until the
// record is removed as well.
func DisableCertificates(root string) (Report, error) {
	path, err := where(root, ConfigFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	report := Report{File: path}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		return report, state.Forget(root, subject)
	}
	file, err := safefile.Begin(path)
	if err != nil {
		return report, err
	}
	defer file.End()
	done, err := recall(root)
	if err != nil {
		return report, err
	}
	if text := file.Text(); text != nil {
		config, err := ParseConfig(text)
		if err != nil {
			return report, refused(path, err)
		}
		edited, undone := undo(config, done)
		report.Done, report.Left = undone, left(edited)
		if text = edited.Bytes(); len(text) == 0 && done.Created {
			text = nil
		}
		if report.Changed, err = file.Put(text); err != nil {
			return report, err
		}
	}
	report.Removed = done.Directories.Remove(root)
	return report, state.Forget(root, subject)
}

// undo undoes the changes, the last one first, and returns those that it undid.
func undo(config *Config, done record) (edited *Config, undone []string) {
	for _, change := range slices.Backward(done.Changes) {
		edited, ok := config.Undo(change)
		if ok {
			undone = append(undone, undoneAs(change))
		}
		config = edited
	}
	return config, undone
}

// left returns the settings that still turn certificates on.
func left(file *Config) []string {
	var left []string
	if value, line := file.Get(WebService, Authentication); IsTrue(value) {
		left = append(left, fmt.Sprintf("line %d: [%s] %s = %s", line, WebService, Authentication, value))
	}
	if file.RunsSessionCommand() {
		value, line := file.Get(TLSCert, Command)
		left = append(left, fmt.Sprintf("line %d: [%s] %s = %s", line, TLSCert, Command, value))
	}
	return left
}

// RunsSessionCommand reports whether cockpit-ws starts a cockpit-cert-session, in
// whichever directory, for browsers with a certificate.
func (f *Config) RunsSessionCommand() bool {
	value, _ := f.Get(TLSCert, Command)
	program, _ := SplitCommand(value)
	return filepath.Base(program) == "cockpit-cert-session"
}

// ReadConfig returns Cockpit's configuration; it is empty if there is no file.
func ReadConfig(root string) (*Config, error) {
	text, err := safefile.ReadFile(root, ConfigFile, safefile.MaxSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(root, ConfigFile), err)
	}
	return file, nil
}

// where returns a file's path with links followed; with fs.ErrNotExist, the path
// that the file would have.
func where(root, name string) (string, error) {
	path, err := safefile.Resolve(root, name)
	if strings.HasPrefix(path, filepath.Join(root, "/nix/store")+"/") {
		return "", fmt.Errorf("%s is made by NixOS: set services.pam-cockpit-cert.enable in configuration.nix instead", filepath.Join(root, name))
	}
	return path, err
}

// recall returns the remembered changes, if there are any.
func recall(root string) (record, error) {
	var done record
	text, err := state.Read(root, subject)
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(text, &done); err != nil {
		return done, fmt.Errorf("%s: %w; remove it, and edit %s by hand", state.Path(root, subject), err, ConfigFile)
	}
	return done, nil
}

// remember adds changes to those that are remembered. An older one of the same
// setting is replaced: the administrator has taken that back by hand.
func remember(root string, created bool, changes []Change, made safefile.Directories) error {
	done, err := recall(root)
	if err != nil {
		return err
	}
	done.Created = created || done.Created
	if maps.Copy(made, done.Directories); len(made) > 0 {
		done.Directories = made
	}
	done.Changes = slices.DeleteFunc(done.Changes, func(before Change) bool {
		return slices.ContainsFunc(changes, func(c Change) bool { return reflect.DeepEqual(c, before) })
	})
	done.Changes = append(done.Changes, changes...)
	text, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return err
	}
	return state.Write(root, subject, append(text, '\n'))
}

func refused(path string, err error) error {
	return fmt.Errorf("%s is left alone: %w", path, err)
}
