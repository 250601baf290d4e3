// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package deb

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// licences has a sentence of each licence that no other one has.
var licences = map[string]string{
	"Apache-2.0":   "Apache License",
	"BSD-2-Clause": "Redistribution and use",
	"BSD-3-Clause": "promote products derived from",
	"MIT":          "Permission is hereby granted, free of charge",
}

// paragraph is one of debian/copyright about files of others.
type paragraph struct{ holders, licence string }

// paragraphs returns them by directory below vendor.
func paragraphs(t *testing.T, text string) map[string]paragraph {
	t.Helper()
	all := map[string]paragraph{}
	form := regexp.MustCompile(`(?m)^Files: vendor/(.*)/\*\nCopyright: ((?s:.*?))\nLicense: (.*)$`)
	for _, match := range form.FindAllStringSubmatch(text, -1) {
		all[match[1]] = paragraph{match[2], match[3]}
	}
	return all
}

// TestCopyrightIsThatOfTheLibraries compares debian/copyright with the licences
// that the vendored modules come with, in both directions.
func TestCopyrightIsThatOfTheLibraries(t *testing.T) {
	text, err := os.ReadFile("../../deb/copyright")
	if err != nil {
		t.Fatal(err)
	}
	said := paragraphs(t, string(text))
	vendor := filepath.Join(t.TempDir(), "vendor")
	command := exec.Command("go", "mod", "vendor", "-o", vendor)
	command.Dir = "../.."
	if out, err := command.CombinedOutput(); err != nil {
		t.Skipf("the modules cannot be had: %v: %s", err, out)
	}

	seen := map[string]bool{}
	err = filepath.WalkDir(vendor, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasPrefix(entry.Name(), "LICENSE") {
			return err
		}
		licence, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		directory, err := filepath.Rel(vendor, filepath.Dir(path))
		if err != nil {
			return err
		}
		compare(t, directory, string(licence), said, seen)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for directory := range said {
		if !seen[directory] {
			t.Errorf("debian/copyright names vendor/%s, which is not there", directory)
		}
	}
}

func compare(t *testing.T, directory, licence string, said map[string]paragraph, seen map[string]bool) {
	t.Helper()
	for name, p := range said {
		if directory != name && !strings.HasPrefix(directory, name+"/") {
			continue
		}
		seen[name] = true
		sentence := licences[p.licence]
		if sentence == "" || !strings.Contains(licence, sentence) {
			t.Errorf("%s: the licence is not %s", directory, p.licence)
		}
		if p.licence == "BSD-2-Clause" && strings.Contains(licence, licences["BSD-3-Clause"]) {
			t.Errorf("%s: the licence has a third clause", directory)
		}
		if strings.Contains(licence, "\nCopyright [yyyy]") || p.licence == "Apache-2.0" {
			return // names nobody
		}
		holder := regexp.MustCompile(`(?m)^Copyright (?:\(c\) )?(\d{4}),? (.*?)\.?(?: All rights reserved\.)?$`)
		holders := holder.FindAllStringSubmatch(licence, -1)
		for _, h := range holders {
			if !strings.Contains(p.holders, h[1]+", "+h[2]) {
				t.Errorf("%s: its authors are %s, %s; debian/copyright says %s", directory, h[1], h[2], p.holders)
			}
		}
		if len(holders) == 0 {
			t.Errorf("%s: no copyright in\n%s", directory, licence)
		}
		return
	}
	t.Errorf("debian/copyright does not name vendor/%s", directory)
}
