// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package clientcert

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// startTime returns when a process started, in clock ticks since boot.
func startTime(proc string, pid int) (uint64, error) {
	path := proc + "/" + strconv.Itoa(pid) + "/stat"
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	ticks, err := parseStartTime(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return ticks, nil
}

// parseStartTime reads field 22 of /proc/PID/stat, see proc_pid_stat(5). The
// second field is the program's name in parentheses, which may itself have
// blanks and parentheses: only the last one closes it.
func parseStartTime(stat string) (uint64, error) {
	const afterName = 22 - 3 // of the fields from the third on
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, errors.New("no program name")
	}
	fields := strings.Fields(stat[i+1:])
	if len(fields) <= afterName {
		return 0, errors.New("no start time")
	}
	ticks, err := strconv.ParseUint(fields[afterName], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("start time: %w", err)
	}
	return ticks, nil
}
