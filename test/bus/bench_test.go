// SPDX-License-Identifier: LGPL-2.1-or-later
// SPDX-FileCopyrightText: The pam_cockpit_cert authors

package bus_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// BenchmarkFlood compares mapped logins while several users flood the bus with logins
// without the flood. The goal is at most twice their time.
func BenchmarkFlood(b *testing.B) {
	for name, broker := range buses {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, broker, 15)
			times := map[bool][]float64{}
			measure := func(flooded bool) {
				const logins = 15
				for range logins {
					ms, err := strconv.ParseFloat(l.logIn(b).Get("ms"), 64)
					if err != nil {
						b.Fatal(err)
					}
					times[flooded] = append(times[flooded], ms)
				}
			}
			const rounds = 6 // so that what else the machine does affects both alike
			for range rounds {
				measure(false)
				attackers := flood(b)
				measure(true)
				if attackers.stop() == 0 {
					b.Error("the attackers sent nothing")
				}
			}
			p50, p95 := percentile(times[true], 50), percentile(times[true], 95)
			fmt.Printf("mapped, three users flood %-16s         p50 %8.3f ms  p95 %8.3f ms   %.2fx, %.2fx without the flood\n", name,
				p50, p95, p50/percentile(times[false], 50), p95/percentile(times[false], 95))
		})
	}
}

func percentile(sample []float64, p int) float64 {
	slices.Sort(sample)
	return sample[(len(sample)-1)*p/100]
}
