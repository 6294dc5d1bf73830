package metrics_test

import (
	"errors"
	"testing"

	"github.com/spillwaymq/spillway/consumer/metrics"
)

func TestAFailedReloadIsShownUntilOneSucceeds(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	successful := func() float64 {
		for _, f := range w.families() {
			if f.GetName() == "spillway_config_last_reload_successful" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	for i, tt := range []struct {
		err  error
		want float64
	}{{nil, 1}, {errors.New("worker.yaml:1:1: no"), 0}, {errors.New("again"), 0}, {nil, 1}} {
		w.collector.Reloaded(tt.err)
		if got := successful(); got != tt.want {
			t.Errorf("reload %d, %v: the gauge is %v, want %v", i, tt.err, got, tt.want)
		}
	}
}
