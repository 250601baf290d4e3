// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package main

/*
#include "answer.h"
#include <syslog.h>
*/
import "C"

import "github.com/sirupsen/logrus"

// newLog returns a logger whose lines the gate passes to pam_syslog, so that
// they have PAM's prefix and the login process's name and PID.
func newLog(out answers, debug bool) *logrus.Logger {
	log := &logrus.Logger{Out: out, Formatter: records{}, Level: logrus.InfoLevel}
	if debug {
		log.Level = logrus.DebugLevel
	}
	return log
}

// records encodes a log entry as a record. The worker's entries have no fields.
type records struct{}

// Format implements logrus.Formatter.
func (records) Format(entry *logrus.Entry) ([]byte, error) {
	record := C.struct_answer{kind: C.ANSWER_LOG, priority: priority(entry.Level)}
	copyText(record.text[:], entry.Message)
	return encode(&record), nil
}

// priority returns syslog(3)'s level for a level of logrus.
func priority(level logrus.Level) C.uint32_t {
	switch level {
	case logrus.PanicLevel, logrus.FatalLevel:
		return C.LOG_CRIT
	case logrus.ErrorLevel:
		return C.LOG_ERR
	case logrus.WarnLevel:
		return C.LOG_WARNING
	case logrus.InfoLevel:
		return C.LOG_INFO
	default:
		return C.LOG_DEBUG
	}
}
