package consumer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

func TestTheFloodOfATenantWhoseNameIsTooLongForASubjectSpillsInItsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		o := newOrder(takes(2 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.MaxInFlight, cfg.Tenants.Queue = 4, 1, 40
			cfg.Tenant = consumer.Header("X-Tenant")
		}), o)
		var ids []string
		for i := range 1500 {
			id := fmt.Sprint(i)
			r.publish("jobs.a.x", id, "X-Tenant", strings.Repeat("%%é.", 40))
			ids = append(ids, id)
			if i >= 1000 {
				time.Sleep(3 * time.Millisecond)
			}
		}
		eventually(t, time.Minute, "everything is handled", func() bool { return o.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		o.wantEach(t, ids, 1, 1)
		o.want(t)
		if p.settledAs(consumer.OutcomeSpill) == 0 {
			t.Error("nothing was spilled")
		}
	})
}

func TestASpillingFloodSurvivesCutConnectionsAndDrainsAtAnyMoment(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		l := newLedger(takes(7 * time.Millisecond))
		cfg := config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.Queue, cfg.Logger = 2, 50, nil
		})
		p := r.process(cfg, l)
		var ids []string
		for i := range 1500 { // faster, and slower, than it is worked on
			id := fmt.Sprint(i)
			r.publish(fmt.Sprintf("jobs.t%d.x", i%3), id)
			ids = append(ids, id)
			time.Sleep(time.Duration(i/300%3) * 2 * time.Millisecond)
			switch {
			case i%211 == 210:
				if err := p.stop(); err != nil {
					t.Fatal(err)
				}
				p = r.process(cfg, l)
			case i%97 == 96:
				r.CutConnections(t)
				eventually(t, time.Minute, "the connection is back", r.js.Conn().IsConnected)
			}
		}
		eventually(t, 5*time.Minute, "everything is handled", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.runs) == len(ids)
		})
		eventually(t, 5*time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 2) // acks that a cut loses are of messages that run again
	})
}
