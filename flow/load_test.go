package flow

import (
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// 100 connections send 1,000 requests, over and over, to handlers of which 50 may run. What
// runs does so until as many requests were refused as there are connections beyond the
// limit, so that the limit is reached in every round, however fast the machine is.
func TestOverloadOverHTTP(t *testing.T) {
	const connections, requests, limit, rounds = 100, 1000, 50, 5
	a := newAdmission(t, AdmissionConfig{Limit: limit})
	var running, most, rejected, served, other atomic.Int64
	full := make(chan struct{}, requests+connections) // a token for each that may end
	s := serve(t, a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-full
		running.Add(-1)
	})))
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}
	client := &http.Client{Transport: transport}

	request := func() {
		res, err := client.Get(s.URL)
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		inflight, err := strconv.Atoi(res.Header.Get(HeaderInflight))
		if err != nil || inflight < 1 || inflight > limit {
			t.Errorf("X-Inflight is %q", res.Header.Get(HeaderInflight))
		}
		switch {
		case res.StatusCode == http.StatusOK:
			served.Add(1)
		case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "1" && inflight == limit:
			rejected.Add(1)
			full <- struct{}{}
		default:
			other.Add(1)
		}
	}
	round := func() {
		var left atomic.Int64
		left.Store(requests)
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					request()
				}
				full <- struct{}{} // one connection less: one that waits may end
			})
		}
		wg.Wait()
		for len(full) > 0 {
			<-full
		}
	}

	round() // opens the connections and warms the pools
	heap, goroutines := settled()
	for range rounds - 1 {
		round()
	}
	heapThen, goroutinesThen := settled()
	st := a.Stats()
	t.Logf("%d served, %d refused, %d at once; heap %d to %d KiB, %d to %d goroutines",
		served.Load(), rejected.Load(), most.Load(), heap>>10, heapThen>>10, goroutines, goroutinesThen)
	if rejected.Load() == 0 || st.Rejected != uint64(rejected.Load()) || st.Admitted != uint64(served.Load()) {
		t.Errorf("clients saw %d refused and %d served: %+v", rejected.Load(), served.Load(), st)
	}
	if total := served.Load() + rejected.Load(); total != rounds*requests || other.Load() != 0 {
		t.Errorf("%d answers and %d others, want %d", total, other.Load(), rounds*requests)
	}
	if most.Load() > limit || st.Inflight != 0 {
		t.Errorf("%d ran at once, want %d at most; %d do now", most.Load(), limit, st.Inflight)
	}
	if heapThen > heap+1<<20 || goroutinesThen > goroutines+10 {
		t.Errorf("heap went from %d to %d bytes, goroutines from %d to %d", heap, heapThen, goroutines, goroutinesThen)
	}
	transport.CloseIdleConnections()
}

// settled returns the live heap and the number of goroutines.
func settled() (heap uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
