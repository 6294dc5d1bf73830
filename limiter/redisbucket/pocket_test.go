package redisbucket

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A purse is a pocket that counts each token by itself, as long as that one takes.
type purse struct {
	left, spent []int64 // when they expire, the oldest first
}

func (p *purse) expire(now int64) {
	gone := func(at int64) bool { return at <= now }
	p.left, p.spent = slices.DeleteFunc(p.left, gone), slices.DeleteFunc(p.spent, gone)
}

// A pocket hands out what it was given while it lives, the oldest first, and no more;
// whatever is joined or given back lives no longer than it would have.
func TestAPocketIsWorthItsTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const life = 100
		var p pocket
		var exact purse
		now, equal := int64(0), true // as long as nothing is joined, or given back to an older lease
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 40).Draw(t, "pass")
			exact.expire(now)
			n := rapid.Int64Range(0, 5).Draw(t, "n")
			switch rapid.IntRange(0, 2).Draw(t, "do") {
			case 0:
				equal = equal && p.n < maxLeases
				p.put(now, n, now+life)
				for range n {
					exact.left = append(exact.left, now+life)
				}
			case 1:
				had := p.left(now)
				switch left := p.take(now, n); {
				case left >= 0 && (had < n || left != had-n), left < 0 && had >= n:
					t.Fatalf("took %d of %d, %d left", n, had, left)
				case left >= 0:
					exact.spent = append(exact.spent, exact.left[:n]...)
					exact.left = exact.left[n:]
				}
			case 2:
				// Given back at once, as promised: what was just taken.
				if p.take(now, n) >= 0 {
					p.refund(now, n)
					equal = false
				}
			}
			if got, want := p.left(now), int64(len(exact.left)); got > want || equal && got < want {
				t.Fatalf("at %d there are %d tokens, want %d", now, got, want)
			}
		}
	})
}

func TestARefundComesBackToTheOldestLease(t *testing.T) {
	var p pocket
	p.put(0, 2, 10)
	p.put(5, 2, 15)
	if left := p.take(6, 3); left != 1 {
		t.Fatalf("%d left, want 1", left)
	}
	p.refund(6, 1)
	if got := p.left(6); got != 2 {
		t.Errorf("%d after the refund, want 2", got)
	}
	if got := p.left(10); got != 1 {
		t.Errorf("%d when the first has expired, want 1: its token came back to it", got)
	}
	p.refund(12, 100)
	if got := p.left(12); got != 2 {
		t.Errorf("%d after a refund of more than was spent, want 2", got)
	}
	p.refund(20, 1)
	if got := p.left(20); got != 0 {
		t.Errorf("%d when all has expired", got)
	}
}

func TestThePaceFollowsUse(t *testing.T) {
	const quantum = 50
	for _, tt := range []struct {
		name     string
		p        pace
		now      int64
		foretold float64
		ask, low int64
	}{
		{"nothing was used", pace{}, 100, 0, 1, -1},
		{"one in a long time", pace{used: 1}, 1000, 0.05, 1, -1},
		{"one just now", pace{used: 1}, 1, 1, 1, -1},
		{"a growing burst", pace{used: 64}, 5, 64, 64, 32},
		{"the same as before", pace{used: 3, last: 40}, 5, 40, 40, 20},
		{"steady", pace{used: 200}, 100, 100, 100, 50},
		{"more than the bucket holds", pace{used: 9000}, 50, 9000, 500, 4500},
	} {
		if got := tt.p.foretold(tt.now, quantum); got != tt.foretold {
			t.Errorf("%s: foretold %v, want %v", tt.name, got, tt.foretold)
		}
		if got := tt.p.ask(tt.now, quantum, 1, 500); got != tt.ask {
			t.Errorf("%s: asks for %d, want %d", tt.name, got, tt.ask)
		}
		if got := tt.p.low(tt.now, quantum); got != tt.low {
			t.Errorf("%s: low at %d, want %d", tt.name, got, tt.low)
		}
	}
}
