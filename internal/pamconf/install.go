// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package pamconf

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pam_cockpit_cert/internal/safefile"
)

// Report is the result of an installation or removal.
type Report struct {
	Service  string   `json:"service"`
	File     string   `json:"file"`           // empty if there is none
	Line     int      `json:"line,omitempty"` // the rule's, if it is there
	Changed  bool     `json:"changed"`
	Message  string   `json:"message"`
	Policy   Policy   `json:"policy,omitempty"` // that the rule has now
	Runs     []string `json:"runs,omitempty"`   // the modules that run after a certificate, by PolicyAuth
	Warnings []string `json:"warnings,omitempty"`
}

// InstallOptions of Install.
type InstallOptions struct {
	// Module is the module's name or path in the rule; empty to keep that of an
	// existing rule, and for Default in a new one.
	Module string
	// Default is the name or path in a new rule; empty for Module, which libpam
	// looks for in its own directory.
	Default string
	// Debug turns the option debug on or off; nil leaves it.
	Debug *bool
	// Policy says which stacks decide on a login; empty to keep that of an existing
	// rule, or the one that was chosen before.
	Policy Policy
	// OnceFor is the version of the service's file, for an install script. If the
	// rule was added for that version before, it is not added again: an
	// administrator has removed it since. It is empty for an administrator's
	// command, which always adds the rule.
	OnceFor string
}

var moduleForm = regexp.MustCompile(`^[A-Za-z0-9._+/-]+$`)

func (o InstallOptions) check() error {
	if o.Module != "" && (!strings.HasSuffix("/"+o.Module, "/"+Module) || !moduleForm.MatchString(o.Module)) {
		return fmt.Errorf("%.120q is not the path of a module named %s", o.Module, Module)
	}
	if strings.ContainsAny(o.OnceFor, "\n\x00") || len(o.OnceFor) > 1000 {
		return errors.New("a version has to be one line of 1000 bytes at the most")
	}
	if o.Policy != "" && !slices.Contains(Policies, o.Policy) {
		return fmt.Errorf("%.60q is not a policy: it has to be %s or %s", o.Policy, PolicyAccount, PolicyAuth)
	}
	return nil
}

// Install adds the rule before the first one of the auth stack. An existing rule stays
// where it is.
func (s Service) Install(options InstallOptions) (Report, error) {
	if err := errors.Join(s.Check(), options.check()); err != nil {
		return Report{}, err
	}
	place, err := s.Find()
	if err != nil {
		return Report{}, err
	}
	before, recorded, err := s.recorded()
	if err != nil {
		return Report{}, err
	}
	done := options.OnceFor != "" && recorded && before == options.OnceFor

	report := Report{Service: s.Name, File: place.Path}
	if place.Vendor != "" && !done {
		if err := safefile.MakeDirectory(filepath.Dir(place.Path)); err != nil {
			return report, err
		}
	}
	copied, err := s.prepare(place, options, done)
	if err != nil {
		return report, err
	}
	others := HardLinks(place.Path)
	if place.Vendor == "" || !done {
		report.Changed, err = safefile.Edit(place.Path, func(old []byte) ([]byte, error) {
			text, _, err := s.install(old, place, options, done, &report)
			return text, err
		})
	} else {
		report.File, report.Message = "", leftOut(filepath.Join(s.Root, place.Vendor))
	}
	if err != nil {
		return report, err
	}
	if copied && !report.Changed {
		report.Changed, report.Message = true, fmt.Sprintf("changed what the rule in %s, line %d, has run after a certificate", place.Path, report.Line)
	}
	if options.Policy == PolicyAccount {
		if err := errors.Join(s.removeFragment(), s.recordPolicy(PolicyAccount)); err != nil {
			return report, err
		}
	}
	if report.Changed && others > 0 {
		report.Warnings = append(report.Warnings, place.Path+" had other names by hard links, which keep the old text")
	}
	if options.OnceFor != "" && !done {
		return report, s.record(options.OnceFor)
	}
	return report, nil
}

// HardLinks returns how many other names a file has.
func HardLinks(path string) uint64 {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil || stat.Nlink < 2 {
		return 0
	}
	return uint64(stat.Nlink) - 1
}

func leftOut(path string) string {
	return fmt.Sprintf("the rule was removed from %s since a package added it: leaving it out", path)
}

// Preview returns the changes that Install would make for an administrator's command.
func (s Service) Preview(options InstallOptions) ([]safefile.Change, error) {
	if err := errors.Join(s.Check(), options.check()); err != nil {
		return nil, err
	}
	place, err := s.Find()
	if err != nil {
		return nil, err
	}
	change, fragment, err := s.plan(place, options, false)
	if err != nil || fragment == nil {
		return []safefile.Change{change}, err
	}
	path, err := s.fragmentPath()
	if err != nil {
		return nil, err
	}
	written, err := safefile.Preview(path, func([]byte) ([]byte, error) { return fragment, nil })
	return []safefile.Change{written, change}, err
}

// plan returns the change of the service's file and, for PolicyAuth, the file that the
// rule includes, if that changes. It writes neither.
func (s Service) plan(place Place, options InstallOptions, done bool) (change safefile.Change, fragment []byte, err error) {
	change, err = safefile.Preview(place.Path, func(old []byte) (text []byte, err error) {
		text, fragment, err = s.install(old, place, options, done, &Report{})
		return text, err
	})
	return change, fragment, err
}

// prepare writes, for PolicyAuth, the file that the rule includes, which has to exist
// before the rule.
func (s Service) prepare(place Place, options InstallOptions, done bool) (changed bool, err error) {
	_, fragment, err := s.plan(place, options, done)
	if err != nil || fragment == nil {
		return false, err
	}
	if changed, err = s.writeFragment(fragment); err != nil {
		return false, err
	}
	return changed, s.recordPolicy(PolicyAuth)
}

// install edits one file; old is nil if there is only the vendor's. For
// PolicyAuth it also returns the file that the rule includes, if that changes.
func (s Service) install(old []byte, place Place, options InstallOptions, done bool, report *Report) (text, fragment []byte, err error) {
	text = old
	if old == nil {
		if place.Vendor == "" {
			return nil, nil, &NoServiceError{s}
		}
		vendor, err := safefile.ReadFile(s.Root, place.Vendor, MaxSize)
		if err != nil {
			return nil, nil, err
		}
		parsed, err := Parse(vendor)
		if err != nil {
			return nil, nil, refused(filepath.Join(s.Root, place.Vendor), err)
		}
		if ours := InAuth(parsed); len(ours) > 0 {
			report.File, report.Line = filepath.Join(s.Root, place.Vendor), ours[0].Line
			report.Message = "the vendor's " + report.File + " has the rule: nothing to do"
			return nil, nil, nil
		}
		text = Include(place.Vendor)
	}
	file, err := Parse(text)
	if err != nil {
		return nil, nil, refused(place.Path, err)
	}

	if ours := InAuth(file); len(ours) > 0 {
		return s.respell(file, ours, options, place, report)
	}
	if done {
		report.Message = leftOut(place.Path)
		return old, nil, nil
	}
	if line := file.CommentedOut(); line > 0 && options.OnceFor != "" {
		report.Message = fmt.Sprintf("the rule in line %d of %s was commented out: leaving it so", line, place.Path)
		return old, nil, nil
	}
	spelling := Spelling{Module: cmp.Or(options.Module, options.Default, Module), Debug: options.Debug != nil && *options.Debug}
	edited, err := file.Insert(spelling)
	if errors.Is(err, ErrNoAuth) {
		return nil, nil, fmt.Errorf("%s: %w: PAM uses those of %s; write an auth stack first", place.Path, err,
			filepath.Join(s.Root, ConfigDir, "other"))
	}
	policy := options.Policy
	if err == nil && policy == "" {
		policy, err = s.recordedPolicy()
	}
	if err == nil && policy == PolicyAuth {
		_, err = s.copies(file, 0) // names the lines as they are now
	}
	if err == nil {
		edited, fragment, err = s.SetPolicy(edited, policy)
	}
	if err != nil {
		return nil, nil, refused(place.Path, err)
	}
	report.describe(edited, policy, fragment)
	if writer := edited.Managed(report.Line); writer != "" {
		report.Warnings = append(report.Warnings, fmt.Sprintf("%s is %s: its next run may take the rule out; have that tool write it", place.Path, writer))
	}
	report.Message = fmt.Sprintf("put the rule into %s, line %d", place.Path, report.Line)
	if old == nil {
		report.Message += ", before an include of the vendor's " + place.Vendor
	}
	return edited.Bytes(), fragment, nil
}

// describe reports the rules that a file has now.
func (r *Report) describe(file *File, policy Policy, fragment []byte) {
	r.Line, r.Warnings, r.Policy, r.Runs = InAuth(file)[0].Line, Warnings(file), policy, runs(fragment)
}

// InAuth returns the module's rules in the auth stack, where they belong, without those
// that have the option accepted or refused.
func InAuth(file *File) []Rule {
	return slices.DeleteFunc(file.Ours(), func(rule Rule) bool { return rule.Type != typeAuth || rule.accepted() })
}

// respell updates an existing rule: the module's path may have changed.
func (s Service) respell(file *File, ours []Rule, options InstallOptions, place Place, report *Report) (text, fragment []byte, err error) {
	rule := ours[0]
	module, debug := cmp.Or(options.Module, rule.Module), slices.Contains(rule.Args, "debug")
	if options.Debug != nil {
		debug = *options.Debug
	}
	edited, err := file.Respell(rule, module, debug)
	policy := s.policyOf(file)
	if err == nil && (options.Policy != "" || policy == PolicyAuth && module != rule.Module) {
		policy = cmp.Or(options.Policy, policy)
		edited, fragment, err = s.SetPolicy(edited, policy)
	}
	if err != nil {
		return nil, nil, refused(place.Path, err)
	}
	report.describe(edited, policy, fragment)
	if string(edited.Bytes()) == string(file.Bytes()) {
		report.Message = fmt.Sprintf("the rule is in %s, line %d: nothing to do", place.Path, report.Line)
	} else {
		report.Message = fmt.Sprintf("changed the rule in %s, line %d", place.Path, report.Line)
	}
	return edited.Bytes(), fragment, nil
}

// Warnings returns what is unusual about the module's rules in a file.
func Warnings(file *File) []string {
	var doubts []string
	for _, rule := range file.Ours() {
		if rule.Type != typeAuth {
			doubts = append(doubts, fmt.Sprintf("the rule in line %d is in the stack %s, where it does nothing: it belongs into auth", rule.Line, rule.Type))
		}
	}
	ours := InAuth(file)
	if len(ours) > 1 {
		doubts = append(doubts, fmt.Sprintf("the rule is there %d times, in %s: remove all but the first", len(ours), lines(ours)))
	}
	if len(ours) > 0 && file.FirstAuth().Line != ours[0].Line {
		doubts = append(doubts, fmt.Sprintf("the rule in line %d is not the first of the auth stack: the one in line %d may ask for a password first", ours[0].Line, file.FirstAuth().Line))
	}
	return doubts
}

// lines names the lines of two or more rules.
func lines(rules []Rule) string {
	text := fmt.Sprintf("lines %d", rules[0].Line)
	last := len(rules) - 1
	for _, rule := range rules[1:last] {
		text += fmt.Sprintf(", %d", rule.Line)
	}
	return text + fmt.Sprintf(" and %d", rules[last].Line)
}

func refused(path string, err error) error {
	return fmt.Errorf("%s is left alone: %w", path, err)
}
