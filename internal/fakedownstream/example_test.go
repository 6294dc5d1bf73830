package fakedownstream_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

func Example() {
	d, err := fakedownstream.New(fakedownstream.Config{Workers: 2, Service: 10 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := fakedownstream.Start("127.0.0.1:0", d)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	for _, fault := range []fakedownstream.Fault{{}, {Kind: fakedownstream.Overload}} {
		if err := d.SetFault(fault); err != nil {
			fmt.Println(err)
			return
		}
		resp, err := http.Get(server.URL())
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(d.Fault(), resp.StatusCode, resp.Header["Retry-After"])
	}
	s := d.Stats()
	fmt.Println(d.Capacity(), "calls/s at most; offered", s.Offered, "served", s.Served, "refused", s.Refused)
	// Output:
	// none 200 []
	// overload 429 [1]
	// 200 calls/s at most; offered 2 served 1 refused 1
}

// In the same process a call needs no HTTP.
func ExampleDownstream_Call() {
	d, err := fakedownstream.New(fakedownstream.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := d.SetFault(fakedownstream.Fault{Kind: fakedownstream.Hang}); err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(d.Call(ctx))
	// Output: context deadline exceeded
}
