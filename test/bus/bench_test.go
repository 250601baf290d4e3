// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package bus_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// BenchmarkFlood compares mapped logins while several users flood them with logins
// without a flood, and with logins while the same users flood a connection of their
// own. The bus and the processor serve both floods; the difference is what the login
// itself does with the messages, and may be no more than a factor of two.
func BenchmarkFlood(b *testing.B) {
	const quiet, elsewhere, here = 0, 1, 2
	for name, broker := range buses {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, broker, 15)
			var times [3][]float64
			measure := func(kind int) {
				const logins = 15
				for range logins {
					ms, err := strconv.ParseFloat(l.logIn(b).Get("ms"), 64)
					if err != nil {
						b.Fatal(err)
					}
					times[kind] = append(times[kind], ms)
				}
			}
			const rounds = 6 // so that what else the machine does affects all alike
			for range rounds {
				measure(quiet)
				for kind, variables := range map[int][]string{elsewhere: {decoyVariable + "=1"}, here: nil} {
					attackers := flood(b, variables...)
					measure(kind)
					if attackers.stop() == 0 {
						b.Error("the attackers sent nothing")
					}
				}
			}
			p50, p95 := percentile(times[here], 50), percentile(times[here], 95)
			fmt.Printf("mapped, three users flood %-16s         p50 %8.3f ms  p95 %8.3f ms   %.2fx, %.2fx without the flood; %.2fx, %.2fx a flood of another connection\n",
				name, p50, p95, p50/percentile(times[quiet], 50), p95/percentile(times[quiet], 95),
				p50/percentile(times[elsewhere], 50), p95/percentile(times[elsewhere], 95))
		})
	}
}

func percentile(sample []float64, p int) float64 {
	slices.Sort(sample)
	return sample[(len(sample)-1)*p/100]
}
