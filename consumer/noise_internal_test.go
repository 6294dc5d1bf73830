package consumer

import (
	"testing"
	"time"
)

// A look is what one tenant used of each of two things, beside two that share the rest of
// ten.
func look(worked, inFlight int) []usage {
	other := usage{tenant: "other", worked: time.Duration(10-worked) * time.Second / 2, inFlight: 10 - inFlight}
	more := other
	more.tenant = "more"
	return []usage{{tenant: "loud", worked: time.Duration(worked) * time.Second, inFlight: 2 * inFlight}, other, more}
}

func TestATenantIsNoisyAfterTwoLooksAndQuietAfterTwo(t *testing.T) {
	for name, tt := range map[string]struct {
		looks [][]usage
		want  []int // what changes at each look: +1 noisy, -1 quiet, of the first tenant
	}{
		"both shares high":      {[][]usage{look(9, 9), look(9, 9), look(9, 9)}, []int{0, 1, 0}},
		"only worker-time":      {[][]usage{look(9, 5), look(9, 5), look(9, 5)}, []int{0, 0, 0}},
		"only in flight":        {[][]usage{look(5, 9), look(5, 9), look(5, 9)}, []int{0, 0, 0}},
		"not in a row":          {[][]usage{look(9, 9), look(5, 5), look(9, 9), look(9, 9)}, []int{0, 0, 0, 1}},
		"alone":                 {[][]usage{look(9, 9)[:1], look(9, 9)[:1], look(9, 9)[:1]}, []int{0, 0, 0}},
		"between the marks":     {[][]usage{look(9, 9), look(9, 9), look(6, 6), look(6, 6), look(6, 6)}, []int{0, 1, 0, 0, 0}},
		"quiet again":           {[][]usage{look(9, 9), look(9, 9), look(1, 9), look(9, 1)}, []int{0, 1, 0, -1}},
		"a moment of quiet":     {[][]usage{look(9, 9), look(9, 9), look(1, 1), look(9, 9), look(1, 1)}, []int{0, 1, 0, 0, 0}},
		"gone":                  {[][]usage{look(9, 9), look(9, 9), nil, nil}, []int{0, 1, 0, -1}},
		"the others are gone":   {[][]usage{look(9, 9), look(9, 9), look(9, 9)[:1], look(9, 9)[:1]}, []int{0, 1, 0, -1}},
		"noisy, quiet and back": {[][]usage{look(9, 9), look(9, 9), nil, nil, look(9, 9), look(9, 9)}, []int{0, 1, 0, -1, 0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var n noise
			noisy := false
			for i, used := range tt.looks {
				got := 0
				for _, e := range n.judge(used) {
					switch {
					case e.Tenant != "loud":
						t.Errorf("look %d: %+v", i, e)
					case e.Noisy:
						got++
					default:
						got--
					}
				}
				if got != tt.want[i] {
					t.Fatalf("look %d changes %d, want %d", i, got, tt.want[i])
				}
				noisy = noisy && got >= 0 || got > 0
				if n.isNoisy("loud") != noisy {
					t.Fatalf("look %d: noisy is %v, told was %v", i, !noisy, noisy)
				}
			}
		})
	}
}
