package consumer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

func ExampleConsumer_SetTenant() {
	js, closeAll, err := connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeAll()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	cfg := consumer.Config{Stream: "JOBS", Durable: "worker", Subjects: []string{"jobs.>"}, Tenant: consumer.SubjectToken(2)}
	c, err := consumer.New(js, cfg, consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return nil }))
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	for c.Ready() != nil {
		time.Sleep(time.Millisecond)
	}

	weight := 0.5
	if err := c.SetTenant(ctx, "acme", consumer.TenantPatch{Paused: new(true)}, 10*time.Minute); err != nil {
		fmt.Println(err)
	}
	if err := c.SetTenant(ctx, "acme", consumer.TenantPatch{Weight: &weight}, 0); err != nil {
		fmt.Println(err)
	}
	s := c.Tenant("acme")
	fmt.Println(s.Paused, s.Weight, time.Until(s.Override.Paused.Until) > 9*time.Minute, s.Override.Weight.Until.IsZero())

	if err := c.ResetTenant(ctx, "acme"); err != nil {
		fmt.Println(err)
	}
	s = c.Tenant("acme")
	fmt.Println(s.Paused, s.Weight, s.Override == nil)
	stop()
	fmt.Println(<-ended)
	// Output:
	// true 0.5 true true
	// false 1 true
	// <nil>
}

func ExampleConsumer_Reload() {
	js, closeAll, err := connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeAll()
	cfg := consumer.Config{Stream: "JOBS", Durable: "worker", Subjects: []string{"jobs.>"}}
	c, err := consumer.New(js, cfg, consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return nil }))
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Workers, cfg.Tenants.MaxInFlight = 8, 2
	fmt.Println(c.Reload(cfg), c.Snapshot().Workers)

	cfg.Workers, cfg.Stream, cfg.AckWait = 16, "OTHER", time.Minute
	fmt.Println(c.Reload(cfg), c.Snapshot().Workers)
	// Output:
	// <nil> 8
	// consumer: Reload cannot change AckWait, Stream: make a new Consumer for that 8
}
