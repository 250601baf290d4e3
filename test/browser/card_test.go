// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

//go:build systems

package browser

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"pam_cockpit_cert/internal/testutil/pivcard"
)

const (
	pin    = "314159"
	screen = ":1"
)

// A person with a smart card types its PIN into a window of the browser's. Without
// the card the session goes on; a browser that is started then has no certificate.
func (l *lab) smartCard(t *testing.T) {
	card, err := pivcard.New(pin)
	if err != nil {
		t.Fatal(err)
	}
	card.Store(l.ca.Certify(card.Public(), "alice").DER)
	home := l.home(t)
	l.desk.Run(t, "modutil", "-force", "-dbdir", "sql:"+home+"/.pki/nssdb",
		"-add", "OpenSC", "-libfile", "opensc-pkcs11.so")
	l.background(t, "pcscd", "--foreground", "--disable-polkit")
	l.background(t, "Xvfb", screen, "-screen", "0", "1000x700x24")
	l.await(t, "DISPLAY="+screen+" xdotool getmouselocation")

	takeOut := l.insert(t, card)
	// certutil looks for certificates as the browser does.
	seen := "certutil -L -h all -d sql:" + home + "/.pki/nssdb | grep -q 'PIV Authentication'"
	l.await(t, seen)
	b := l.chromium(t, home, screen)
	asked := make(chan error, 1)
	go func() { asked <- l.typePIN() }()
	b.open(terminalPage)
	if err := <-asked; err != nil {
		t.Fatalf("typing the PIN: %v", err)
	}
	b.waitTitle(" - alice")
	b.frame(terminalFrame)
	b.click(".terminal")

	takeOut()
	l.await(t, "! "+seen)
	b.asksWho("ALICE")

	b.end()
	b = l.chromium(t, home, screen)
	b.open(address)
	b.waitShown(userField)
	b.end()
}

// insert puts the card into the reader, and returns a function that takes it out.
func (l *lab) insert(t *testing.T, card *pivcard.Card) (takeOut func()) {
	t.Helper()
	var slot net.Conn
	eventually(t, func() (err error) {
		slot, err = l.desk.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", pivcard.Port))
		return err
	})
	out := make(chan error, 1)
	go func() { out <- card.Insert(slot) }()
	return func() {
		t.Helper()
		if err := errors.Join(slot.Close(), <-out); err != nil {
			t.Fatal(err)
		}
	}
}

// typePIN waits until the browser asks for the PIN, and types it. While the window
// opens keys can get lost: if it is still there long after, it types again.
func (l *lab) typePIN() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := l.desk.Command(ctx, "env", "DISPLAY="+screen, "PIN="+pin, "sh", "-euc", `
		window() { xdotool search "$@" --onlyvisible --name '^Unlock Security Device$' windowfocus; }
		until window --sync; do sleep 0.2; done
		while window; do
			xdotool key ctrl+a
			xdotool type "$PIN"
			xdotool key Return
			for pause in $(seq 100); do
				window || exit 0
				sleep 0.2
			done
		done`).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// await waits until a script succeeds on the desk.
func (l *lab) await(t *testing.T, script string) {
	t.Helper()
	eventually(t, func() error {
		out, err := l.desk.Try(t, "sh", "-euc", script)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", script, err, out)
		}
		return nil
	})
}
