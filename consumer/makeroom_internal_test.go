package consumer

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsHandedBackToAnOverflowIsBeforeWhatIsNew(t *testing.T) {
	for _, mode := range []flowMode{flowCalm, flowSpilling, flowReturning} {
		t.Run(strconv.Itoa(int(mode)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSpiller(t, nil)
				defer s.alarms.stop()
				f := s.flow(mode)
				f.lane, f.dry = s.newOverflowLane(f), mode == flowCalm
				l := f.lane
				if err := l.open(); err != nil {
					t.Fatal(err)
				}
				defer l.close()
				d := s.message(1)
				d.lane, d.size = l, 1
				now := time.Now()
				if err := s.queues.PutAt(now, "a", d.route.Downstream, d, 1); err != nil {
					t.Fatal(err)
				}
				s.queues.SetOpen(d.route.Downstream, false)
				asked := f.confirmed
				s.moveOut(blockedQueue{tenant: "a", downstream: d.route.Downstream, items: 1, bytes: 1}, now)
				if !d.settled.Load() {
					t.Fatal("it was not handed back")
				}
				if _, reason := s.spillway.room(f); reason == "" {
					t.Error("its lane asks for what is behind it")
				}
				s.spillway.empty(f, asked) // the answer to what was asked before
				if !s.followed(s.message(2)) {
					t.Error("what is new passes by it")
				}
				time.Sleep(time.Second)
				if _, reason := s.spillway.room(f); reason != "" {
					t.Errorf("its lane does not ask for it: %s", reason)
				}
			})
		})
	}
}
