package consumer_test

import (
	"context"
	"slices"
	"testing"

	"github.com/spillwaymq/spillway/consumer"
)

func TestRoutesThatMatchNothingThatIsTakenAreUnreached(t *testing.T) {
	var m consumer.Mux
	for _, subject := range []string{"jobs.*.mail", "jobs.>", "job.*.mail", "jobs.acme.sms", "jobs"} {
		m.HandleFunc(subject, func(context.Context, *consumer.Message) error { return nil })
	}
	for _, tt := range []struct {
		subjects, filters, want []string
	}{
		{nil, nil, nil},
		{[]string{"jobs.>"}, nil, []string{"job.*.mail", "jobs"}},
		{[]string{"jobs.>", "job.>"}, nil, []string{"jobs"}},
		{nil, []string{"jobs.acme.*"}, []string{"job.*.mail", "jobs"}},
		{nil, []string{"jobs.*.mail"}, []string{"job.*.mail", "jobs.acme.sms", "jobs"}},
		{[]string{"jobs.*.sms"}, []string{"jobs.acme.>"}, []string{"jobs.*.mail", "job.*.mail", "jobs"}},
		{[]string{"a.>"}, []string{"jobs.>"}, []string{"jobs.*.mail", "jobs.>", "job.*.mail", "jobs.acme.sms", "jobs"}},
	} {
		got := m.Unreached(consumer.Config{Subjects: tt.subjects, FilterSubjects: tt.filters})
		if !slices.Equal(got, tt.want) {
			t.Errorf("subjects %q, filters %q: unreached are %q, want %q", tt.subjects, tt.filters, got, tt.want)
		}
	}
}
