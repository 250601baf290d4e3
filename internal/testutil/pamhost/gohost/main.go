// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

// Command gohost is a PAM host in Go. Its runtime has threads and signals, which
// must not disturb the module. It authenticates COUNT times in each of GOROUTINES
// goroutines, with the service files in DIR, and prints how often PAM gave which
// answer.
//
//	gohost DIR GOROUTINES COUNT
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/msteinert/pam/v2"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: gohost DIR GOROUTINES COUNT")
		os.Exit(2)
	}
	goroutines, err1 := strconv.Atoi(os.Args[2])
	count, err2 := strconv.Atoi(os.Args[3])
	if err1 != nil || err2 != nil {
		fmt.Fprintln(os.Stderr, "gohost: GOROUTINES and COUNT are numbers")
		os.Exit(2)
	}

	var mu sync.Mutex
	answers := map[string]int{}
	var all sync.WaitGroup
	for range goroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			for range count {
				answer := authenticate(os.Args[1])
				mu.Lock()
				answers[answer]++
				mu.Unlock()
				runtime.GC() // moves stacks, stops the world, and sends its signals
			}
		}()
	}
	all.Wait()
	for answer, n := range answers {
		fmt.Printf("%s=%d\n", answer, n)
	}
}

func authenticate(dir string) string {
	t, err := pam.StartConfDir("cockpit", "", pam.ConversationFunc(func(pam.Style, string) (string, error) {
		return "", nil
	}), dir)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = t.End() }()
	if err := t.Authenticate(0); err != nil {
		return err.Error()
	}
	user, err := t.GetItem(pam.User)
	if err != nil {
		return err.Error()
	}
	return "user " + user
}
