// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command cockpit-cert-session is the Command of the section [tls-cert] in
// cockpit.conf, which lets PAM decide on logins by client certificate. See
// cockpit-cert-session(8).
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"pam_cockpit_cert/internal/relay"
)

const usage = `Usage: cockpit-cert-session [--socket PATH | --session PATH] HOST

Log in to Cockpit by client certificate, through PAM. cockpit-ws runs this;
in /etc/cockpit/cockpit.conf:

  [tls-cert]
  Command = /usr/libexec/pam_cockpit_cert/cockpit-cert-session

Options:
`

func main() {
	// The program mostly waits, and needs few threads: all of Cockpit's sessions
	// by certificate share one limit of tasks.
	runtime.GOMAXPROCS(1)

	// No signal is caught, because that needs a thread. A signal that ends this
	// process closes the connections to both parties; a set-user-ID cockpit-session
	// accepts no signal from it. A write to a party that is gone fails without
	// SIGPIPE on descriptors other than 1 and 2 (os/signal): cockpit-ws is 0.
	options := relay.Relay{Timeout: relay.Timeout, Peer: os.Getenv("COCKPIT_REMOTE_PEER"), Log: os.Stderr}
	flags := flag.NewFlagSet("cockpit-cert-session", flag.ContinueOnError)
	flags.StringVar(&options.Socket, "socket", "", "connect to cockpit-session at `PATH` (Cockpit 330 and later)")
	flags.StringVar(&options.Program, "session", "", "execute the setuid cockpit-session `PATH` (Cockpit up to 329)")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	case flags.NArg() != 1 || options.Socket != "" && options.Program != "":
		flags.Usage()
		os.Exit(2)
	}
	options.Host = flags.Arg(0)

	ws, err := standardStream()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cockpit-cert-session: %v; cockpit-ws starts this program, as the Command of [tls-cert] in cockpit.conf\n", err)
		os.Exit(2)
	}
	exit(options.Run(ws))
}

// standardStream returns the socket that is both standard input and output.
func standardStream() (relay.End, error) {
	var in, out syscall.Stat_t
	if err := errors.Join(syscall.Fstat(0, &in), syscall.Fstat(1, &out)); err != nil {
		return relay.End{}, err
	}
	if in.Dev != out.Dev || in.Ino != out.Ino {
		return relay.End{}, errors.New("standard input and output are not the same")
	}
	return relay.OpenEnd(0, "cockpit-ws")
}

// exit ends the process. cockpit-ws distinguishes an end by a signal from one by an
// exit code, so that the process sends itself the signal.
func exit(status relay.Status) {
	switch status.Signal {
	case 0:
		os.Exit(status.Code)
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL:
		signal.Reset(status.Signal)
		_ = syscall.Kill(os.Getpid(), status.Signal)
		// The signal may reach another thread a moment later, or be ignored.
		time.Sleep(time.Second)
	}
	// Go's runtime handles the other signals itself; report 128+n, as shells do.
	os.Exit(128 + int(status.Signal))
}
