// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command cockpit-cert-session is for cockpit.conf: as the Command of its
// [tls-cert] section it has PAM decide who a client certificate logs in.
// See cockpit-cert-session(8).
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
	// Each direction of a session may keep one busy with waiting, relay.Pipe
	// says why, and the other direction and signals need theirs, even on a
	// machine with a single processor. More than that would cost memory.
	runtime.GOMAXPROCS(4)

	// A write to a party that is gone shall fail, not kill: the party's
	// partner has to be told.
	signal.Ignore(syscall.SIGPIPE)

	options := relay.Relay{Timeout: relay.Timeout, Signals: signals, Log: os.Stderr}
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

	ws, err := standardStreams()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cockpit-cert-session: %v; cockpit-ws starts this program, as the Command of [tls-cert] in cockpit.conf\n", err)
		os.Exit(2)
	}
	exit(options.Run(ws))
}

// signals has what a child of ours shall get, too. Without a child they do what
// they do by default: a signal(7) that ends us hangs up on both parties, and
// waiting for one would cost three threads of the few that Cockpit's
// system-cockpithttps.slice allows.
func signals() <-chan os.Signal {
	received := make(chan os.Signal, 8)
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(sig) { // nohup(1) means it
			signal.Notify(received, sig)
		}
	}
	// The child would inherit that it is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return received
}

func standardStreams() (relay.End, error) {
	in, err := relay.OpenEnd(0, "standard input")
	if err != nil {
		return relay.End{}, err
	}
	out, err := relay.OpenEnd(1, "standard output")
	if err != nil {
		return relay.End{}, err
	}
	return relay.End{R: in, W: out}, nil
}

// exit ends the process. cockpit-ws tells an end by signal from one by code,
// and so the signal is sent again, to do what it does by default.
func exit(status relay.Status) {
	switch status.Signal {
	case 0:
		os.Exit(status.Code)
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL:
		signal.Reset(status.Signal)
		_ = syscall.Kill(os.Getpid(), status.Signal)
		// It may reach another thread, a moment later, or be ignored.
		time.Sleep(time.Second)
	}
	// Go makes of the others something of its own.
	os.Exit(128 + int(status.Signal))
}
