// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package relay

import (
	"errors"
	"os"
)

// A Pipe joins two ends as if they were one: every byte goes through unchanged, a
// slow reader slows the writer, and the end of either direction arrives as just
// that, while the other goes on. The kernel moves the data from socket to socket
// by reference (splice(2)).
type Pipe struct {
	Near, Far End
	// FarEnded, if not nil, is called where the far end will say no more and
	// has said n bytes in all, before the near end is told.
	FarEnded func(n int64)
}

// Run moves data until both directions have ended. A direction ends where its
// source does, and where its destination takes no more. An error says what
// else ended one.
func (p Pipe) Run() error {
	up, err := newMover(p.Far.W, p.Near.R)
	if err != nil {
		return err
	}
	defer up.close()
	down, err := newMover(p.Near.W, p.Far.R)
	if err != nil {
		return err
	}
	defer down.close()

	// A party that is gone while its partner is silent shows in no read or
	// write; yet the partner must be told.
	watch, err := newWatch(map[*os.File]func(){
		p.Near.W: func() { stopReading(p.Far.R) },
		p.Far.W:  func() { stopReading(p.Near.R) },
	})
	if err != nil {
		return err
	}
	defer watch.close()

	upEnded := make(chan error, 1)
	go func() {
		_, err := up.run()
		up.end()
		upEnded <- err
	}()
	n, err := down.run()
	if p.FarEnded != nil {
		p.FarEnded(n)
	}
	down.end()
	return errors.Join(err, <-upEnded)
}
