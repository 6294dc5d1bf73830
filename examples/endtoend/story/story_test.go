package story_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/examples/endtoend/story"
)

// Whatever is told, no goroutine is left.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(consumertest.Background))
}

func config(t *testing.T, scene time.Duration) story.Config {
	t.Helper()
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return story.Config{JetStream: consumertest.NewServer(t).JetStream(t), Page: page, Scene: scene}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// What each scene must show: nothing here is a time. A machine that others use as much as
// the story does cannot show all of it, so one of three runs must, unless each says that the
// machine was too busy; nothing is lost in any.
func TestEachSceneShowsItsPatternAndNothingIsLost(t *testing.T) {
	t.Parallel() // it mostly waits
	busy := true
	for range 3 {
		s, missed := playStory(t)
		if len(missed) == 0 {
			return
		}
		busy = busy && s.Busy()
		t.Logf("not shown, requests up to %v late:\n%s", s.Late, strings.Join(missed, "\n"))
	}
	if t.Failed() || !busy {
		t.Fatal("none of three runs showed all of its patterns")
	}
	t.Skip("the machine was too busy for patterns; nothing was lost")
}

// playStory plays the story once, and returns which patterns it did not show.
func playStory(t *testing.T) (s *story.Summary, missed []string) {
	t.Helper()
	cfg := config(t, 4200*time.Millisecond)
	var once sync.Once
	var early uint64
	cfg.Show = func(m story.Moment) {
		if m.Scene == story.Spike {
			once.Do(func() { early = heap() })
		}
	}
	s, err := story.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Patterns {
		if !p.OK && !strings.HasPrefix(p.Metric, "wait p99") { // times depend on the machine
			missed = append(missed, fmt.Sprintf("%s: %s: expected %s, seen %s", p.Scene, p.Metric, p.Expected, p.Seen))
		}
	}
	if len(s.Patterns) != 13 {
		t.Errorf("there are %d patterns, want 13", len(s.Patterns))
	}
	if a := s.Account; a.Accepted == 0 || a.Done != a.Accepted || a.Lost != 0 || a.Unsettled != 0 {
		t.Errorf("account is %+v", a)
	}
	for _, tenant := range s.Tenants {
		if tenant.Done != tenant.Accepted || tenant.Accepted == 0 {
			t.Errorf("of %s %d jobs were accepted and %d done", tenant.Name, tenant.Accepted, tenant.Done)
		}
	}
	if late := heap(); early == 0 || late > early+16<<20 {
		t.Errorf("the heap was %d MiB in the spike, and is %d MiB at the end", early>>20, late>>20)
	}
	if t.Failed() {
		t.Logf("\n%s", &text)
	}
	return s, missed
}

// How much waits when the story is cut short is up to the machine. So one of three runs must
// leave something, and the account must be right in each.
func TestAStoryThatIsCutShortLeavesTheRestInJetStream(t *testing.T) {
	t.Parallel() // it mostly waits
	for range 3 {
		if a := cutStoryShort(t); a.Waiting > 0 {
			return
		}
	}
	t.Error("three runs left nothing in JetStream")
}

// cutStoryShort plays the story until much overflows, or jobs fail and are to be done again.
func cutStoryShort(t *testing.T) story.Account {
	t.Helper()
	cfg := config(t, 4200*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lines bytes.Buffer
	show := story.Lines(&lines)
	cut := story.Normal
	cfg.Show = func(m story.Moment) {
		show(m)
		enough := m.Scene == story.SlowDownstream && m.Failed > 0
		for _, tenant := range m.Tenants {
			enough = enough || tenant.Overflow > 50 // more than comes back before it stops
		}
		if enough && ctx.Err() == nil {
			cut = m.Scene
			cancel()
		}
	}
	s, err := story.Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Account; a.Accepted == 0 || a.Lost != 0 || a.Done+a.Waiting+a.Dead != a.Accepted {
		t.Errorf("account is %+v", a)
	}
	for _, p := range s.Patterns {
		if p.Scene > cut {
			t.Errorf("a scene that was not played is judged: %+v", p)
		}
	}
	for _, want := range []string{"NORMAL", "draining"} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("no %q in\n%s", want, &lines)
		}
	}
	return s.Account
}

func TestMistakesAreTold(t *testing.T) {
	_, err := story.Run(t.Context(), story.Config{Scene: time.Millisecond})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Config.JetStream is missing", "Config.Page is missing", "Config.Scene is 1ms: must be from 100ms to 1h"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
