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

// Policy says which stacks decide on a login with a certificate.
type Policy string

const (
	// PolicyAccount leaves it to the account stack: the module's rule ends the auth stack.
	PolicyAccount Policy = "account"
	// PolicyAuth also runs the rules of the auth stack that ask the user nothing, and
	// so their setcred. Most of them are in substacks, into which no rule can jump.
	// So a separate file has copies of them, and the module's rule becomes four:
	//
	//	-auth [success=ok ... default=ignore] pam_cockpit_cert.so
	//	auth substack cockpit-certificate
	//	-auth [success=done service_err=die default=ignore] pam_cockpit_cert.so accepted
	//	-auth [success=die default=ignore] pam_cockpit_cert.so refused
	//
	// The third ends the stack if no module failed, and the fourth if one did, before
	// a module asks for a password; Cockpit's login page then shows what that module
	// said. A login without a certificate jumps over the copies within the separate
	// file. The service's file has no jumps: if an administrator removed a line there,
	// a jump could skip a module that asks for a password.
	PolicyAuth Policy = "auth"
)

// Policies are all policies.
var Policies = []Policy{PolicyAccount, PolicyAuth}

// controlGoesOn is the control of the module's rule with PolicyAuth.
const controlGoesOn = "success=ok new_authtok_reqd=ok user_unknown=die default=ignore"

// fragmentHead tells the separate file from one that an administrator wrote.
const fragmentHead = "# Written by pam-cockpit-cert pam install --policy=auth, which writes it anew.\n"

// fragment is the name of the file with the copies, in ConfigDir.
func (s Service) fragment() string { return s.Name + "-certificate" }

// Fragment returns the path of the file that the rule includes with PolicyAuth.
func (s Service) Fragment() string { return filepath.Join(ConfigDir, s.fragment()) }

// accepted reports whether the rule has the option accepted or refused: it asks whether an
// earlier rule of the module accepted the login.
func (r Rule) accepted() bool { return r.Ours() && ReadArguments(r.Args).Accepted }

// accompanies reports whether PolicyAuth writes such a rule after the module's.
func (s Service) accompanies(rule Rule) bool {
	return rule.Type == typeAuth && (rule.accepted() || rule.Control == controlSubstack && rule.Module == s.fragment())
}

// companions returns the lines that PolicyAuth writes after the module's rule.
func (s Service) companions(module string) []string {
	return []string{
		"auth substack " + s.fragment() + "\n",
		"-auth [success=done service_err=die default=ignore] " + module + " " + optionAccepted + "\n",
		"-auth [success=die default=ignore] " + module + " " + optionRefused + "\n",
	}
}

// policyOf returns the policy of a file, by its rules.
func (s Service) policyOf(file *File) Policy {
	if slices.ContainsFunc(file.rules, s.accompanies) || slices.ContainsFunc(InAuth(file), func(r Rule) bool { return r.Control == controlGoesOn }) {
		return PolicyAuth
	}
	return PolicyAccount
}

// plain returns the file with the module's rule of PolicyAccount.
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

// SetPolicy returns the file with the rules of a policy and, for PolicyAuth, the file
// that they include. The file must have the module's rule.
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

// copies returns the rules after a line that ask the user nothing, one on each line.
func (s Service) copies(file *File, line int) ([]string, error) {
	stack, err := s.stack(file, filepath.Join(ConfigDir, s.Name), line)
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

// same reports whether two rules are the same for libpam.
func (r Rule) same(other Rule) bool {
	return r.Silent == other.Silent && r.Type == other.Type && r.Control == other.Control && r.Module == other.Module && slices.Equal(r.Args, other.Args)
}

// runs returns the modules in the separate file, which run after a certificate.
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

// PolicyState tells which modules run after a certificate, by the rules of a service.
type PolicyState struct {
	Policy Policy
	Runs   []string // the modules that run, with PolicyAuth
	// Err says why the rules are not those that pam install --policy=auth would write now.
	Err error
}

// ErrOutdated says that the auth stack, or the copies of its rules, were changed since
// the rules were copied.
var ErrOutdated = errors.New("the rules are not those of the auth stack as it is now")

// PolicyState returns the state of a service's file, which has the module's rule.
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

// fragmentPath returns the path of the separate file, which need not exist; an error if
// an administrator's file is there.
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

// removeFragment removes the separate file, once no rule includes it.
func (s Service) removeFragment() error {
	if !safefile.Exists(s.Root, s.Fragment()) {
		return nil
	}
	if _, file, err := s.Parsed(); err == nil && slices.ContainsFunc(file.rules, s.accompanies) {
		return nil
	}
	path, err := s.fragmentPath()
	if err != nil {
		return nil // an administrator's file
	}
	_, err = safefile.Edit(path, func([]byte) ([]byte, error) { return nil, nil })
	return err
}

// policyRecord names the record of the chosen policy, which stays if a package manager
// replaces the service's file.
func (s Service) policyRecord() string { return "POLICY-" + s.Name }

// recordedPolicy returns the chosen policy; PolicyAccount if none was chosen.
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
