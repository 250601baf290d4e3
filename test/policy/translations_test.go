// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	inScript = regexp.MustCompile(`_\("([^"]*)"\)`)
	inPage   = regexp.MustCompile(`translate="yes">([^<]*)<`)
	inTable  = regexp.MustCompile(`(?m)^    "([^"]+)": \[null, "[^"]+"\],?$`)
)

// TestThePageIsTranslated checks that each language has every text of the page in
// Cockpit, and no text that the page does not have.
func TestThePageIsTranslated(t *testing.T) {
	page := filepath.Join(root, "cockpit/certlogin")
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(page, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	texts := map[string]bool{}
	for name, pattern := range map[string]*regexp.Regexp{"certlogin.js": inScript, "index.html": inPage} {
		found := pattern.FindAllStringSubmatch(read(name), -1)
		if len(found) == 0 {
			t.Errorf("%s has no text to translate", name)
		}
		for _, text := range found {
			texts[text[1]] = true
		}
	}
	languages, err := filepath.Glob(filepath.Join(page, "po.[a-z]*.js"))
	if err != nil || len(languages) < 2 {
		t.Fatalf("translations: %v, %v", languages, err)
	}
	for _, path := range languages {
		name := filepath.Base(path)
		if matched, _ := filepath.Match("po.manifest.*", name); matched {
			continue
		}
		translated := map[string]bool{}
		for _, entry := range inTable.FindAllStringSubmatch(read(name), -1) {
			translated[entry[1]] = true
		}
		for _, problem := range append(lacks(translated, texts, "lacks"), lacks(texts, translated, "has the unused")...) {
			t.Errorf("%s %s", name, problem)
		}
	}
}

func lacks(have, want map[string]bool, how string) []string {
	var problems []string
	for text := range want {
		if !have[text] {
			problems = append(problems, fmt.Sprintf("%s %q", how, text))
		}
	}
	return problems
}

// TestThePageNamesEveryCheck checks that the page has a name for people for each check of
// status.
func TestThePageNamesEveryCheck(t *testing.T) {
	checks, err := os.ReadFile(filepath.Join(root, "internal/diagnose/check.go"))
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "cockpit/certlogin/certlogin.js"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\tid[A-Z]\w* += "([a-z-]+)"$`).FindAllStringSubmatch(string(checks), -1)
	if len(found) < 10 {
		t.Fatalf("only %d checks are in check.go", len(found))
	}
	for _, id := range found {
		if !regexp.MustCompile(`(?m)^    "?` + id[1] + `"?: _\("`).Match(script) {
			t.Errorf("certlogin.js has no name for the check %s", id[1])
		}
	}
}
