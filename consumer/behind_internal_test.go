package consumer

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

// from is a message of a tenant that takes so many bytes.
func (s *spiller) from(tenant string, sequence uint64, size int) *delivery {
	d := s.message(sequence)
	d.msg.Tenant, d.msg.Subject, d.size = tenant, "jobs."+tenant+".x", size
	return d
}

// If it could have all of the buffer, what it waits for could never come.
func TestWhatWaitsBehindOverflowsLeavesRoomForThem(t *testing.T) {
	for name, size := range map[string]func(s *spiller) int{
		"messages": func(*spiller) int { return 100 },
		"bytes":    func(s *spiller) int { return int(s.shared.maxBytes / s.shared.maxMessages * 2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSpiller(t, nil)
				waits, spills := int64(0), 0
				for i := range uint64(s.shared.maxMessages) {
					d := s.from(fmt.Sprint("t", i), i+1, size(s))
					s.spillway.mu.Lock()
					s.spillway.set(s.spillway.get(s.flowKeyOf(d)), flowReturning)
					s.spillway.mu.Unlock()
					switch _, to, _ := s.spillway.follow(d); to {
					case toWait:
						waits++
					case toOverflow:
						spills++
					default:
						t.Fatalf("it goes %d", to)
					}
				}
				most := min(s.shared.maxMessages-s.spillBudget.maxMessages, (s.shared.maxBytes-s.spillBudget.maxBytes)/int64(size(s)))
				if waits != most || spills == 0 {
					t.Errorf("%d messages wait behind overflows and %d go there, want %d to wait of a buffer of %d", waits, spills, most, s.shared.maxMessages)
				}
				if n := len(s.spillway.takeAllBehind()); int64(n) != waits || s.spillway.behind != (behind{}) {
					t.Errorf("of %d that wait %d are taken, and %+v are counted then", waits, n, s.spillway.behind)
				}
			})
		})
	}
}

func TestLanesThatLookAtWhatTheyShareAtOnceDoNotTakeItTwice(t *testing.T) {
	s := newSpiller(t, nil)
	lanes := []*lane{s.lanes[0]}
	for i := range 8 {
		s.spillway.mu.Lock()
		f := s.spillway.get(s.flowKeyOf(s.from(fmt.Sprint("t", i), 1, 1)))
		s.spillway.set(f, flowSpilling)
		f.dry = false
		f.lane = s.newOverflowLane(f)
		s.spillway.mu.Unlock()
		lanes = append(lanes, f.lane)
	}
	s.spillBudget.reserve(s.spillBudget.maxMessages-2, 0) // of both there are two messages left
	s.shared.reserve(s.shared.maxMessages-s.shared.messages.Load()-2, 0)
	for range 20_000 {
		var wg sync.WaitGroup
		var taken [9]struct {
			batch int
			bytes int64
		}
		begin := make(chan struct{})
		for i, l := range lanes {
			wg.Go(func() {
				<-begin
				taken[i].batch, taken[i].bytes = l.reserve(maxBatch)
			})
		}
		close(begin)
		wg.Wait()
		for name, b := range map[string]*budget{"the lanes": &s.shared, "the overflow lanes": &s.spillBudget} {
			if m, n := b.messages.Load(), b.bytes.Load(); m > b.maxMessages || n > b.maxBytes {
				t.Fatalf("%s have taken %d messages, %d bytes, of %d, %d", name, m, n, b.maxMessages, b.maxBytes)
			}
		}
		for i, l := range lanes {
			l.budget.release(int64(taken[i].batch), taken[i].bytes)
		}
	}
}
