// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package install

import (
	"bufio"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// completed has, for what a user types, what the Tab key makes of it: a command, an
// option, a word of an option, a file where one belongs, and none where not.
var completed = map[string]string{
	"pam-cockpit-cert stat":                       "pam-cockpit-cert status",
	"pam-cockpit-cert pam inst":                   "pam-cockpit-cert pam install",
	"pam-cockpit-cert status --ro":                "pam-cockpit-cert status --root",
	"pam-cockpit-cert status --js":                "pam-cockpit-cert status --json",
	"pam-cockpit-cert pam install --policy acc":   "pam-cockpit-cert pam install --policy account",
	"pam-cockpit-cert completion fi":              "pam-cockpit-cert completion fish",
	"pam-cockpit-cert explain la":                 "pam-cockpit-cert explain last",
	"pam-cockpit-cert check my-":                  "pam-cockpit-cert check my-cert.pem",
	"pam-cockpit-cert check my-cert.pem my-":      "pam-cockpit-cert check my-cert.pem my-",
	"pam-cockpit-cert check --instance my-":       "pam-cockpit-cert check --instance my-",
	"pam-cockpit-cert --root sub":                 "pam-cockpit-cert --root subdirectory/",
	"pam-cockpit-cert setup --ca my-":             "pam-cockpit-cert setup --ca my-cert.pem",
	"pam-cockpit-cert setup --local alice=my-":    "pam-cockpit-cert setup --local alice=my-cert.pem",
	"pam-cockpit-cert setup --local alice=sub":    "pam-cockpit-cert setup --local alice=subdirectory/",
	"pam-cockpit-cert logins --count my-":         "pam-cockpit-cert logins --count my-",
	"pam-cockpit-cert status my-":                 "pam-cockpit-cert status my-",
	"pam-cockpit-cert pam install --module my-":   "pam-cockpit-cert pam install --module my-cert.pem",
	"pam-cockpit-cert check --service no-such-my": "pam-cockpit-cert check --service no-such-my",
}

// shellEnvironment installs to a directory in which the shells look for the command
// and its completions, and has a directory with files.
func shellEnvironment(t *testing.T) (environment []string, work string) {
	t.Helper()
	dir, work := t.TempDir(), t.TempDir()
	command(t, "install", "DESTDIR="+dir, "BUILD="+built, "PREFIX=/usr")
	for _, file := range []string{"my-cert.pem", "subdirectory/file"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return append(os.Environ(), "HOME="+t.TempDir(), "TERM=xterm", "INPUTRC=/dev/null", "INSTALLED="+dir,
		"PATH="+dir+"/usr/sbin:"+os.Getenv("PATH"), "XDG_DATA_DIRS="+dir+"/usr/share:/usr/share"), work
}

func needShell(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			t.Skipf("needs %s", file)
		}
	}
}

// TestCompletions presses the Tab key in the shells, and asks fish what it would do.
func TestCompletions(t *testing.T) {
	environment, work := shellEnvironment(t)
	t.Run("fish", func(t *testing.T) { fishCompletes(t, environment, work) })
	for _, shell := range []terminalShell{
		{"bash", "/usr/share/bash-completion/bash_completion", "bash --norc --noprofile -i",
			`PS1=; . /usr/share/bash-completion/bash_completion; bind 'set bell-style none'; bind -x '"\C-g": printf "LINE[%s]\n" "$READLINE_LINE"; READLINE_LINE='; echo REA''DY`},
		{"zsh", "/usr/bin/zsh", "zsh -f -i",
			`PROMPT= RPROMPT=; setopt no_list_beep no_beep; fpath=($INSTALLED/usr/share/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D; ` +
				`show() { print -r -- "LINE[$BUFFER]"; BUFFER= }; zle -N show; bindkey "^G" show; print REA''DY`},
	} {
		t.Run(shell.name, func(t *testing.T) { shell.completes(t, environment, work) })
	}
}

func fishCompletes(t *testing.T, environment []string, work string) {
	needShell(t, "/usr/bin/fish")
	lines := slices.Sorted(maps.Keys(completed))
	fish := exec.Command("fish", append([]string{"-c", `for line in $argv; echo ==; complete -C $line; end`}, lines...)...)
	fish.Env, fish.Dir = environment, work
	out, err := fish.Output()
	if err != nil {
		t.Fatalf("fish: %v", err)
	}
	if strings.Contains(string(out), "`") {
		t.Errorf("fish shows a quotation mark of this program's source:\n%s", out)
	}
	for i, answer := range strings.Split(string(out), "==\n")[1:] {
		got := lines[i]
		if word, _, found := strings.Cut(strings.Split(answer, "\n")[0], "\t"); found || word != "" {
			got = got[:strings.LastIndex(got, " ")+1] + word
		}
		if want := completed[lines[i]]; got != want {
			t.Errorf("fish makes %q of %q, want %q", got, lines[i], want)
		}
	}
}

// terminalShell is a shell that reads keys from a terminal.
type terminalShell struct {
	name    string
	needs   string // a file without which it does not complete
	command string
	// start loads its completions, binds Control-G to show and empty the line, and
	// prints READY.
	start string
}

func (shell terminalShell) completes(t *testing.T, environment []string, work string) {
	needShell(t, shell.needs, "/usr/bin/script")
	terminal := exec.Command("script", "-qec", shell.command, "/dev/null")
	terminal.Env, terminal.Dir = environment, work
	keys, err := terminal.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := terminal.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := terminal.Start(); err != nil {
		t.Fatal(err)
	}
	// A shell that does not answer is ended; otherwise it ends with its input.
	late := time.AfterFunc(5*time.Minute, func() { _ = terminal.Process.Kill() })
	defer func() {
		_, _ = io.WriteString(keys, "\nexit\n")
		_ = terminal.Wait()
		late.Stop()
	}()
	output := bufio.NewReader(screen)
	// until returns the screen's text up to a mark.
	until := func(mark string) string {
		t.Helper()
		var seen strings.Builder
		for !strings.HasSuffix(seen.String(), mark) {
			c, err := output.ReadByte()
			if err != nil {
				t.Fatalf("%v; the screen has %q", err, seen.String())
			}
			seen.WriteByte(c)
		}
		return strings.TrimSuffix(seen.String(), mark)
	}
	_, _ = io.WriteString(keys, shell.start+"\n")
	until("READY")
	for line, want := range completed {
		_, _ = io.WriteString(keys, line+"\t\a")
		until("LINE[")
		if got := strings.TrimSpace(until("]")); got != want {
			t.Errorf("%s makes %q of %q, want %q", shell.name, got, line, want)
		}
	}
}
