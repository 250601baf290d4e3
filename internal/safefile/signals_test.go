// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package safefile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// editMarker makes this test binary edit the file that it names.
const editMarker = "PAM_COCKPIT_CERT_EDIT"

// interrupted edits the file, and gets a signal meanwhile.
func interrupted(path string) {
	_, err := Edit(path, func([]byte) ([]byte, error) {
		err := syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(200 * time.Millisecond)
		return []byte("new\n"), err
	})
	time.Sleep(10 * time.Second)
	fmt.Println("the signal had no effect:", err)
	os.Exit(1)
}

func TestASignalWaitsUntilTheFileIsReplaced(t *testing.T) {
	path := directory(t)
	edit := exec.Command("/proc/self/exe")
	edit.Env = append(os.Environ(), editMarker+"="+path)
	out, err := edit.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("it ended well: %s", out)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by %v: %s", exit, out)
	}
	alone(t, path, "new\n")
}
