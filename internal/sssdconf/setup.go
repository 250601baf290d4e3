// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package sssdconf

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/clientcert"
	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/state"
)

// Snippet is the part of SSSD's configuration that Setup writes.
const Snippet = "/etc/sssd/conf.d/50-pam_cockpit_cert.conf"

// localDomain is the domain of this system's own users in it.
const localDomain = "local"

// subject names the record of the files that were written.
const subject = "SETUP.json"

// Setup configures SSSD for the first login: with authorities, and perhaps with a
// domain of the system's own users. It does not change files that others have written.
type Setup struct {
	Root        string
	Authorities []byte // certificates, PEM
	Users       []LocalUser
	Old         bool // SSSD before 2.9.3, whose provider "proxy" knows no certificates
}

// LocalUser is an account of this system, and its user's certificate.
type LocalUser struct {
	Name        string
	Certificate *x509.Certificate
}

// file is a file that Setup writes.
type file struct {
	safefile.Change
	mode  fs.FileMode
	group uint32
}

// Preview returns what Apply would change, or why it must not.
func (s Setup) Preview() ([]safefile.Change, error) {
	files, err := s.files()
	var changes []safefile.Change
	for _, f := range files {
		changes = append(changes, f.Change)
	}
	return changes, err
}

// Apply writes the files, and remembers them.
func (s Setup) Apply() error {
	files, err := s.files()
	if err != nil {
		return err
	}
	written, err := recall(s.Root)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Changes() {
			name, err := filepath.Rel(s.Root, f.Path)
			if err != nil {
				return err
			}
			if err := written.Directories.Make(s.Root, f.Path); err != nil {
				return err
			}
			// The older checksum stays: this process may end before the file is written.
			before := written.Files[name]
			written.Files[name] = append(before[max(0, len(before)-1):], sum(f.After))
		}
	}
	if len(written.Files) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(written, "", "  ")
	if err != nil {
		return err
	}
	// Remembered before the files are written: a record of a missing file does no harm.
	if err := state.Write(s.Root, subject, append(text, '\n')); err != nil {
		return err
	}
	for _, f := range files {
		if err := f.write(); err != nil {
			return err
		}
	}
	return nil
}

func (f file) write() error {
	if !f.Changes() {
		return nil
	}
	if _, err := safefile.Edit(f.Path, func([]byte) ([]byte, error) { return f.After, nil }); err != nil {
		return err
	}
	return errors.Join(os.Chown(f.Path, -1, int(f.group)), os.Chmod(f.Path, f.mode))
}

// Undo removes the files that Apply wrote. It keeps those that were changed meanwhile,
// and returns them as left. Directories that Apply made go too, if they are empty.
func Undo(root string) (removed, left []string, err error) {
	written, err := recall(root)
	if err != nil {
		return nil, nil, err
	}
	for name, want := range written.Files {
		path := filepath.Join(root, name)
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return removed, left, err
		case !slices.Contains(want, sum(text)):
			left = append(left, path)
			continue
		}
		if err := os.Remove(path); err != nil {
			return removed, left, err
		}
		removed = append(removed, path)
	}
	slices.Sort(removed)
	slices.Sort(left)
	removed = append(removed, written.Directories.Remove(root)...)
	return removed, left, state.Forget(root, subject)
}

// Written returns the names, in the root, of the files that Undo would remove.
func Written(root string) ([]string, error) {
	written, err := recall(root)
	return slices.Sorted(maps.Keys(written.Files)), err
}

// record is what Undo needs. Names are in the root, because an image may be mounted at
// another path later.
type record struct {
	Files       map[string][]string  `json:"files"` // the checksums of what was written
	Directories safefile.Directories `json:"directories"`
}

func recall(root string) (record, error) {
	written := record{map[string][]string{}, safefile.Directories{}}
	text, err := state.Read(root, subject)
	if errors.Is(err, fs.ErrNotExist) {
		return written, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &written)
	}
	if err != nil {
		return written, fmt.Errorf("%s: %w", state.Path(root, subject), err)
	}
	return written, nil
}

func sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (s Setup) files() ([]file, error) {
	config, err := Read(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = &Config{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading SSSD's configuration: %w", err)
	}
	authorities, err := s.authorities(config)
	if err != nil || len(s.Users) == 0 {
		return []file{authorities}, err
	}
	if err := s.issued(certificates(authorities.After)); err != nil {
		return []file{authorities}, err
	}
	users, err := s.users(config)
	return []file{authorities, users}, err
}

// authorities returns the file of the authorities, if it does not exist. An existing
// file must have them already.
func (s Setup) authorities(config *Config) (file, error) {
	wanted, err := given(s.Authorities)
	if err != nil {
		return file{}, err
	}
	if line := Malformed(bytes.TrimPrefix(s.Authorities, []byte("\ufeff"))); line > 0 {
		return file{}, fmt.Errorf("the file for --ca has a malformed certificate in line %d: SSSD would read none", line)
	}
	var text []byte // only the certificates: a private key in the same file is not copied
	for _, der := range wanted {
		if read, err := x509.ParseCertificate(der); err == nil && !read.IsCA && !bytes.Equal(read.RawIssuer, read.RawSubject) {
			return file{}, fmt.Errorf("the file for --ca has the certificate of %s, which is not an authority", nameOf(read.RawSubject))
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	path, err := safefile.Resolve(s.Root, config.CA())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return file{}, err
	}
	change, err := safefile.Preview(path, func(old []byte) ([]byte, error) {
		if old == nil {
			return text, nil
		}
		trusted := certificates(old)
		for _, der := range wanted {
			if !slices.ContainsFunc(trusted, func(t []byte) bool { return bytes.Equal(t, der) }) {
				return nil, fmt.Errorf("%s is there, and lacks an authority of --ca; append it to that file if SSSD is to trust it", path)
			}
		}
		return old, nil
	})
	return file{change, 0o644, 0}, err
}

// given returns the certificates of the file for --ca, in DER. The file may have one in
// DER, as Windows exports it.
func given(text []byte) ([][]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if all := certificates(text); len(all) > 0 {
		return all, nil
	}
	if _, err := x509.ParseCertificate(text); err == nil {
		return [][]byte{text}, nil
	}
	if form, command := WrongForm(text); command != "" {
		form, _, _ = strings.Cut(form, ",")
		return nil, fmt.Errorf("the file for --ca is in %s; convert it: %s -in FILE -out ca.pem", form, command)
	}
	return nil, errors.New("the file for --ca has no certificate in PEM")
}

// issued checks that the issuer of each user's certificate is among the authorities that
// SSSD will trust.
func (s Setup) issued(trusted [][]byte) error {
	for _, user := range s.Users {
		if !slices.ContainsFunc(trusted, func(der []byte) bool {
			authority, err := x509.ParseCertificate(der)
			return err != nil || bytes.Equal(authority.RawSubject, user.Certificate.RawIssuer) // what Go cannot parse may be the issuer
		}) {
			return fmt.Errorf("the certificate of %s was issued by %s, which is not in the file for --ca", user.Name, nameOf(user.Certificate.RawIssuer))
		}
	}
	return nil
}

// certificates returns the certificates of a file in PEM, in DER.
func certificates(text []byte) [][]byte { return blocks(text, "CERTIFICATE") }

// nameOf returns a name for a message.
func nameOf(der []byte) string {
	return cmp.Or(clientcert.Name(der), "an issuer without a name")
}

// users returns the snippet with a domain of this system's own users.
func (s Setup) users(config *Config) (file, error) {
	path, err := safefile.Resolve(s.Root, Snippet)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return file{}, err
	}
	change, err := safefile.Preview(path, func(old []byte) ([]byte, error) {
		domains := config.Domains()
		if old == nil && len(domains) > 0 || old != nil && !slices.Equal(domains, []string{localDomain}) {
			return nil, fmt.Errorf("SSSD has the domain %s already; give it a rule for each user, see sss-certmap(5)", strings.Join(domains, ", "))
		}
		rules, own := s.written(old)
		if !own {
			return nil, fmt.Errorf("%s was changed by hand: add the rule of each user there, see sss-certmap(5)", path)
		}
		if err := s.add(rules); err != nil {
			return nil, err
		}
		return s.snippet(rules), nil
	})
	// Only root and SSSD may read it.
	if _, group, has := account(s.Root); has {
		return file{change, 0o640, group}, err
	}
	return file{change, 0o600, 0}, err
}

// written returns the rules in a snippet, and whether it still is as snippet writes it.
func (s Setup) written(text []byte) (rules map[string]string, own bool) {
	rules = map[string]string{}
	if text == nil {
		return rules, true
	}
	settings, err := parse(text)
	if err != nil {
		return nil, false
	}
	for _, e := range settings {
		if name, is := strings.CutPrefix(e.section, "certmap/"+localDomain+"/"); is && e.key == "matchrule" {
			rules[name] = e.value
		}
	}
	newer, older := s, s
	newer.Old, older.Old = false, true
	return rules, bytes.Equal(text, newer.snippet(rules)) || bytes.Equal(text, older.snippet(rules))
}

// add adds the rules of the users. A rule has the name of its user, so that there is one
// for each; and SSSD picks one of two users with the same rule.
func (s Setup) add(rules map[string]string) error {
	given := map[string]string{}
	for _, user := range s.Users {
		rule, err := matchRule(user.Certificate)
		if err != nil {
			return fmt.Errorf("the certificate of %s: %w", user.Name, err)
		}
		if other, twice := given[user.Name]; twice && other != rule {
			return fmt.Errorf("%s has two certificates with different names: a rule matches one", user.Name)
		}
		given[user.Name], rules[user.Name] = rule, rule
	}
	users := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if other, taken := users[rules[name]]; taken {
			return fmt.Errorf("%s and %s have certificates with the same name, by which SSSD cannot tell them apart", other, name)
		}
		users[rules[name]] = name
	}
	return nil
}

// matchRule returns a rule that matches certificates with this subject and issuer,
// also renewed ones.
func matchRule(certificate *x509.Certificate) (string, error) {
	issuer, subject := clientcert.Name(certificate.RawIssuer), clientcert.Name(certificate.RawSubject)
	if issuer == "" || subject == "" {
		return "", errors.New("it has no issuer or no subject that a rule could match")
	}
	return "<ISSUER>" + Pattern(issuer) + "<SUBJECT>" + Pattern(subject), nil
}

func (s Setup) snippet(rules map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString("# Written by pam-cockpit-cert setup; pam-cockpit-cert disable removes it.\n" +
		"[sssd]\nservices = nss, ifp\ndomains = " + localDomain + "\n\n[domain/" + localDomain + "]\n")
	if s.Old {
		b.WriteString("id_provider = files\n")
	} else {
		b.WriteString("id_provider = proxy\nproxy_lib_name = files\nlocal_auth_policy = only\nauth_provider = none\n")
	}
	var names []string
	for name := range rules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "\n[certmap/%s/%s]\nmatchrule = %s\n", localDomain, name, rules[name])
	}
	return b.Bytes()
}
