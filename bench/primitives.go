package main

import "context"

// primitives are the parts that Spillway is made of, each beside what else does the same.
// None of them uses NATS.
func primitives(ctx context.Context, e *env) ([]row, error) {
	var all []row
	for _, measure := range []func(context.Context, *env) ([]row, error){
		duels(guards),
		duels(limits),
		pools,
	} {
		rows, err := measure(ctx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
