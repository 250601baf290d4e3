// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package scriptlet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"pam_cockpit_cert/internal/cockpit"
	"pam_cockpit_cert/internal/pamconf"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/sssdconf"
	"pam_cockpit_cert/internal/state"
)

// removal names the record of a removal that dpkg may still abort.
const removal = "REMOVAL.json"

// copied is the content and mode of a file; Text is nil if it did not exist.
type copied struct {
	Text     []byte
	Mode     fs.FileMode
	UID, GID int
}

// removed is a file before and after leave.
type removed struct{ Before, After copied }

// touched returns the files, as named in the root, that leave may change.
func (s Scriptlet) touched() ([]string, error) {
	names := []string{serviceFile, pamconf.Service{Name: service}.Fragment(), cockpit.ConfigFile}
	written, err := sssdconf.Written(s.Root)
	names = append(names, written...)
	remembered, readErr := os.ReadDir(state.Path(s.Root, ""))
	for _, entry := range remembered {
		if entry.Name() != removal {
			names = append(names, filepath.Join(state.Dir, entry.Name()))
		}
	}
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil
	}
	return names, errors.Join(err, readErr)
}

// copy reads the files; it leaves out those that cannot be read.
func (s Scriptlet) copy(names []string) map[string]copied {
	files := map[string]copied{}
	for _, name := range names {
		text, err := safefile.ReadFile(s.Root, name, safefile.MaxSize)
		if errors.Is(err, fs.ErrNotExist) {
			files[name] = copied{}
		}
		if err != nil {
			continue
		}
		path, err := safefile.Resolve(s.Root, name)
		if err != nil {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		file := copied{Text: append([]byte{}, text...), Mode: info.Mode().Perm()}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			file.UID, file.GID = int(owner.Uid), int(owner.Gid)
		}
		files[name] = file
	}
	return files
}

// leaveRestorably is leave, and remembers what it changed.
func (s Scriptlet) leaveRestorably() error {
	names, err := s.touched()
	if err != nil {
		s.warn("%v", err)
	}
	before := s.copy(names)
	return s.leave(func() error { return s.remember(names, before) })
}

// remember records the files that were changed, by their names in the root.
func (s Scriptlet) remember(names []string, before map[string]copied) error {
	changes := map[string]removed{}
	for name, after := range s.copy(names) {
		if old, ok := before[name]; ok && !same(old, after) {
			changes[name] = removed{old, after}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	text, err := json.Marshal(changes)
	if err == nil {
		err = state.WritePrivate(s.Root, removal, text)
	}
	if err != nil {
		s.warn("a removal that fails could not be undone: %v", err)
		return ErrIncomplete
	}
	return nil
}

func same(a, b copied) bool {
	return (a.Text == nil) == (b.Text == nil) && bytes.Equal(a.Text, b.Text)
}

// restore undoes leaveRestorably. A file that was changed since stays as it is.
func (s Scriptlet) restore() error {
	text, err := state.Read(s.Root, removal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	changes := map[string]removed{}
	if err == nil {
		err = json.Unmarshal(text, &changes)
	}
	if err != nil {
		return fmt.Errorf("reading what the removal changed: %w", err)
	}
	names := make([]string, 0, len(changes))
	for name := range changes {
		names = append(names, name)
	}
	slices.Sort(names)
	now := s.copy(names)
	for _, name := range names {
		if current, ok := now[name]; !ok || !same(current, changes[name].After) {
			s.warn("%s was changed since: look at it", filepath.Join(s.Root, name))
			err = ErrIncomplete
			continue
		}
		if restoreErr := s.putBack(name, changes[name]); restoreErr != nil {
			s.warn("%v", restoreErr)
			err = ErrIncomplete
		}
	}
	return errors.Join(err, state.Forget(s.Root, removal))
}

func (s Scriptlet) putBack(name string, change removed) error {
	path, err := safefile.Resolve(s.Root, name)
	if errors.Is(err, fs.ErrNotExist) {
		err = safefile.MakeDirectory(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	if _, err := safefile.Edit(path, func([]byte) ([]byte, error) { return change.Before.Text, nil }); err != nil {
		return err
	}
	if change.After.Text != nil || change.Before.Text == nil {
		return nil // it kept its own mode and owner, or is gone
	}
	return errors.Join(os.Chown(path, change.Before.UID, change.Before.GID), os.Chmod(path, change.Before.Mode))
}
