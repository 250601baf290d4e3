// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pam_cockpit_cert/internal/safefile"
	"pam_cockpit_cert/internal/state"
)

// Policy is which stacks judge a login with a certificate.
type Policy string

const (
	// PolicyAccount leaves it to the account stack: our rule ends the auth stack.
	PolicyAccount Policy = "account"
	// PolicyAuth has those rules of the auth stack run as well that ask nothing, and
	// so their setcred. Most of them are in substacks, into which no rule can jump.
	// So a file of ours has copies of them, and our rule becomes four:
	//
	//	-auth [success=ok ... default=ignore] pam_cockpit_cert.so
	//	auth substack cockpit-certificate
	//	-auth [success=done service_err=die default=ignore] pam_cockpit_cert.so accepted
	//	-auth [success=die default=ignore] pam_cockpit_cert.so accepted
	//
	// The third ends the stack if nothing failed, and the fourth if something did,
	// before anything asks for a password. A login without a certificate jumps over
	// the copies, within our file. No rule jumps in the service's own, where a line
	// that somebody takes out would have it jump over a module that asks.
	PolicyAuth Policy = "auth"
)

// Policies are those that there are.
var Policies = []Policy{PolicyAccount, PolicyAuth}

// controlGoesOn is our rule's control by PolicyAuth.
const controlGoesOn = "success=ok new_authtok_reqd=ok user_unknown=die default=ignore"

// fragmentHead tells our file from somebody else's.
const fragmentHead = "# Written by pam-cockpit-cert pam install --policy=auth, which writes it anew.\n"

// fragment is the name of the file with the copies, in ConfigDir.
func (s Service) fragment() string { return s.Name + "-certificate" }

// Fragment is where PolicyAuth has the file that the rule includes.
func (s Service) Fragment() string { return filepath.Join(ConfigDir, s.fragment()) }

// accepted reports whether the rule asks about a login that an earlier rule of
// ours accepted.
func (r Rule) accepted() bool { return r.Ours() && slices.Contains(r.Args, optionAccepted) }

// accompanies reports whether PolicyAuth writes such a rule beside ours.
func (s Service) accompanies(rule Rule) bool {
	return rule.Type == typeAuth && (rule.accepted() || rule.Control == controlSubstack && rule.Module == s.fragment())
}

// companions are the lines that PolicyAuth writes after ours.
func (s Service) companions(module string) []string {
	return []string{
		"auth substack " + s.fragment() + "\n",
		"-auth [success=done service_err=die default=ignore] " + module + " " + optionAccepted + "\n",
		"-auth [success=die default=ignore] " + module + " " + optionAccepted + "\n",
	}
}

// policyOf returns the policy that the rules of a file are for.
func (s Service) policyOf(file *File) Policy {
	if slices.ContainsFunc(file.rules, s.accompanies) || slices.ContainsFunc(InAuth(file), func(r Rule) bool { return r.Control == controlGoesOn }) {
		return PolicyAuth
	}
	return PolicyAccount
}

// plain returns the file with our rule as PolicyAccount has it.
func (s Service) plain(file *File) (*File, error) {
	file, err := file.Remove(s.accompanies)
	if err != nil {
		return nil, err
	}
	rule := InAuth(file)[0]
	lines := slices.Clone(file.lines)
	if rule.Control == controlGoesOn {
		lines[rule.Line-1] = strings.Replace(lines[rule.Line-1], "["+controlGoesOn+"]", "["+Control+"]", 1)
	}
	return file.checked(lines, len(file.rules))
}

// SetPolicy returns a file that has our rule with the rule as a policy has it, and
// for PolicyAuth the file that the rule includes.
func (s Service) SetPolicy(file *File, policy Policy) (edited *File, fragment []byte, err error) {
	all := InAuth(file)
	if len(all) != 1 {
		return nil, nil, fmt.Errorf("the rule is there %d times: remove all but the first", len(all))
	}
	var copies []string
	if policy == PolicyAuth {
		if copies, err = s.copies(file, all[0].Line); err != nil {
			return nil, nil, err
		}
	}
	file, err = s.plain(file)
	if err != nil || policy == PolicyAccount {
		return file, nil, err
	}
	ours := InAuth(file)[0]
	if !file.Spelled(ours) || ours.Control != Control {
		return nil, nil, &SyntaxError{ours.Line, "the rule was written by hand: remove it first, by pam remove"}
	}
	lines := slices.Clone(file.lines)
	lines[ours.Line-1] = strings.Replace(lines[ours.Line-1], Control, controlGoesOn, 1)
	if edited, err = file.checked(slices.Insert(lines, ours.Line, s.companions(ours.Module)...), len(file.rules)+3); err != nil {
		return nil, nil, err
	}
	accepted := "] " + ours.Module + " " + optionAccepted + "\n"
	return edited, []byte(fragmentHead + fmt.Sprintf("-auth [success=ok default=%d", len(copies)) + accepted + strings.Join(copies, "") +
		"-auth [default=ignore" + accepted), nil
}

// copies are the rules behind a line that ask nothing, a line each.
func (s Service) copies(file *File, line int) ([]string, error) {
	stack, err := s.stack(file, filepath.Join(ConfigDir, s.Name), line, 0, 0)
	var rules []handler
	if err == nil {
		rules, err = withPassword(stack)
	}
	var copies []string
	for _, h := range rules {
		text := h.rule.text() + "\n"
		copied, parseErr := Parse([]byte(text))
		if parseErr != nil || len(copied.rules) != 1 || !copied.rules[0].same(h.rule) {
			err = fmt.Errorf("%s cannot be written on a line of its own", h)
		}
		copies = append(copies, text)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("which modules run without a password cannot be told: %w; use --policy=account, or write the rules by hand, as pam_cockpit_cert(8) shows", err)
	case len(copies) == 0:
		return nil, errors.New("no module of the auth stack runs without a password: --policy=account is all that there is")
	}
	return copies, nil
}

// same reports whether libpam makes the same of two rules.
func (r Rule) same(other Rule) bool {
	return r.Silent == other.Silent && r.Type == other.Type && r.Control == other.Control && r.Module == other.Module && slices.Equal(r.Args, other.Args)
}

// runs names the modules of a file of ours that run after a certificate.
func runs(fragment []byte) []string {
	file, err := Parse(fragment)
	if err != nil {
		return nil
	}
	var names []string
	for _, rule := range file.rules {
		if name := path.Base(rule.Module); !rule.Ours() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// PolicyState is what a service's rules have run after a certificate.
type PolicyState struct {
	Policy Policy
	Runs   []string // the modules, by PolicyAuth
	// Err says why they are not what pam install --policy=auth would write now.
	Err error
}

// ErrOutdated says that the auth stack has changed since its rules were copied, or
// that somebody changed the copies.
var ErrOutdated = errors.New("the rules are not those of the auth stack as it is now")

// PolicyState looks at a service's file, which has our rule.
func (s Service) PolicyState(file *File) PolicyState {
	if s.policyOf(file) == PolicyAccount {
		return PolicyState{Policy: PolicyAccount}
	}
	is, err := safefile.ReadFile(s.Root, s.Fragment(), MaxSize)
	report := PolicyState{Policy: PolicyAuth, Runs: runs(is), Err: err}
	if err != nil {
		return report
	}
	edited, fragment, err := s.SetPolicy(file, PolicyAuth)
	switch {
	case err != nil:
		report.Err = err
	case !bytes.Equal(edited.Bytes(), file.Bytes()) || !bytes.Equal(fragment, is):
		report.Err = ErrOutdated
	}
	return report
}

// fragmentPath returns where our file is, or will be; an error if somebody else's
// is there.
func (s Service) fragmentPath() (string, error) {
	path, err := safefile.Resolve(s.Root, s.Fragment())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text, err := safefile.ReadFile(s.Root, s.Fragment(), MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err == nil && !strings.HasPrefix(string(text), fragmentHead) {
		err = fmt.Errorf("%s was not written by pam install, and is left alone: rename it", path)
	}
	return path, err
}

func (s Service) writeFragment(text []byte) (changed bool, err error) {
	path, err := s.fragmentPath()
	if err != nil {
		return false, err
	}
	return safefile.Edit(path, func([]byte) ([]byte, error) { return text, nil })
}

// removeFragment removes our file, once no rule includes it.
func (s Service) removeFragment() error {
	if !safefile.Exists(s.Root, s.Fragment()) {
		return nil
	}
	if _, file, err := s.Parsed(); err == nil && slices.ContainsFunc(file.rules, s.accompanies) {
		return nil
	}
	path, err := s.fragmentPath()
	if err != nil {
		return nil // somebody else's
	}
	_, err = safefile.Edit(path, func([]byte) ([]byte, error) { return nil, nil })
	return err
}

// policyRecord remembers what was chosen: a package manager that replaces the
// service's file must not undo it.
func (s Service) policyRecord() string { return "POLICY-" + s.Name }

// recordedPolicy is the one that was chosen; PolicyAccount if none was.
func (s Service) recordedPolicy() (Policy, error) {
	text, err := state.Read(s.Root, s.policyRecord())
	if errors.Is(err, fs.ErrNotExist) {
		return PolicyAccount, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading which policy was chosen: %w", err)
	}
	policy := Policy(strings.TrimSuffix(string(text), "\n"))
	if !slices.Contains(Policies, policy) {
		return "", fmt.Errorf("%s has no policy: choose one by pam install --policy", state.Path(s.Root, s.policyRecord()))
	}
	return policy, nil
}

func (s Service) recordPolicy(policy Policy) error {
	if policy == PolicyAccount {
		if err := state.Forget(s.Root, s.policyRecord()); err != nil {
			return fmt.Errorf("forgetting which policy was chosen: %w", err)
		}
		return nil
	}
	if err := state.Write(s.Root, s.policyRecord(), []byte(policy+"\n")); err != nil {
		return fmt.Errorf("recording which policy was chosen: %w", err)
	}
	return nil
}
