package consumer

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoAlarmGoesOffOnceTheyAreStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a alarms
		var rang atomic.Int64
		for range 10 {
			a.after(time.Second, func() { rang.Add(1) })
			a.after(time.Minute, func() { rang.Add(100) })
		}
		time.Sleep(2 * time.Second)
		a.stop()
		a.after(time.Second, func() { rang.Add(1000) })
		time.Sleep(time.Hour)
		if got := rang.Load(); got != 10 {
			t.Errorf("%d, want the 10 that were due before the stop", got)
		}
	})
}

func TestStoppingWaitsForTheAlarmThatGoesOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a alarms
		var done atomic.Bool
		a.after(time.Second, func() {
			time.Sleep(time.Second)
			done.Store(true)
		})
		time.Sleep(1500 * time.Millisecond)
		if a.stop(); !done.Load() {
			t.Error("stop returned before it was over")
		}
	})
}
