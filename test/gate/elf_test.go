// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package gate

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const built = "../../build/pam_cockpit_cert.so"

func open(t *testing.T) *elf.File {
	t.Helper()
	file, err := elf.Open(built)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the module is not built: run make")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestOnlyWhatLibpamCallsIsExported(t *testing.T) {
	symbols, err := open(t).DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(exported)
	if want := []string{"pam_sm_authenticate", "pam_sm_setcred"}; !slices.Equal(exported, want) {
		t.Errorf("exported: %v, want %v", exported, want)
	}
}

func TestNeedsOnlyLibpamAndLibc(t *testing.T) {
	libraries, err := open(t).ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range libraries {
		// libpthread is a separate library before glibc 2.34.
		if !slices.Contains([]string{"libpam.so.0", "libc.so.6", "libpthread.so.0"}, library) {
			t.Errorf("needs %s", library)
		}
	}
}

func TestHardening(t *testing.T) {
	file := open(t)
	var relro, stack bool
	for _, p := range file.Progs {
		switch p.Type {
		case elf.PT_GNU_RELRO:
			relro = true
		case elf.PT_GNU_STACK:
			stack = p.Flags&elf.PF_X == 0
		case elf.PT_LOAD:
			if p.Flags&(elf.PF_W|elf.PF_X) == elf.PF_W|elf.PF_X {
				t.Errorf("a segment at %#x is writable and executable", p.Vaddr)
			}
		}
	}
	if !relro {
		t.Error("no RELRO")
	}
	if !stack {
		t.Error("the stack is executable, or may be")
	}
	flags, err := file.DynValue(elf.DT_FLAGS)
	if err != nil {
		t.Fatal(err)
	}
	if len(flags) != 1 || flags[0]&uint64(elf.DF_BIND_NOW) == 0 {
		t.Errorf("DT_FLAGS %v has no BIND_NOW: RELRO is not full", flags)
	}
	if rel, err := file.DynValue(elf.DT_TEXTREL); err == nil && len(rel) > 0 {
		t.Error("has text relocations")
	}
	soname, err := file.DynString(elf.DT_SONAME)
	if err != nil || !slices.Equal(soname, []string{"pam_cockpit_cert.so"}) {
		t.Errorf("soname %v, %v", soname, err)
	}
}

// The dynamic loader runs the functions in .init_array: Go's must not be among them.
func TestLoadingTheModuleStartsNoGo(t *testing.T) {
	file := open(t)
	parked := file.Section(".go_runtime_init")
	if parked == nil || parked.Size != pointerSize(file) {
		t.Fatalf("parked initializers: %+v, want one", parked)
	}
	at, err := file.DynValue(elf.DT_INIT_ARRAY)
	if err != nil || len(at) != 1 {
		t.Fatalf("DT_INIT_ARRAY: %v, %v", at, err)
	}
	size, err := file.DynValue(elf.DT_INIT_ARRAYSZ)
	if err != nil || len(size) != 1 {
		t.Fatalf("DT_INIT_ARRAYSZ: %v, %v", size, err)
	}
	if parked.Addr >= at[0] && parked.Addr < at[0]+size[0] {
		t.Errorf("the loader's table %#x+%#x has Go's initializer at %#x", at[0], size[0], parked.Addr)
	}
}

func TestGateCompilesWithoutWarnings(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc")
	}
	sources, err := filepath.Glob("../../module/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("%v: %v", sources, err)
	}
	for _, source := range sources {
		out, err := exec.Command("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Istub", "-fsyntax-only", source).CombinedOutput()
		if err != nil && strings.Contains(string(out), "pam_modules.h: No such file") {
			t.Skip("no headers of libpam")
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", source, err, out)
		}
	}
}

func pointerSize(file *elf.File) uint64 {
	if file.Class == elf.ELFCLASS32 {
		return 4
	}
	return 8
}
