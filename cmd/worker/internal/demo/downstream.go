package demo

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// failEvery is of how many requests the downstream fails one.
const failEvery = 200

// Downstream is a server that answers as the scene wants.
type Downstream struct {
	scene  *Scene
	server *http.Server
	addr   string
	ended  chan error
	count  atomic.Uint64
}

// StartDownstream starts one on a free port of the loopback interface.
func StartDownstream(scene *Scene) (*Downstream, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &Downstream{scene: scene, addr: listener.Addr().String(), ended: make(chan error, 1)}
	d.server = &http.Server{Handler: d, ReadHeaderTimeout: time.Minute}
	go func() { d.ended <- d.server.Serve(listener) }()
	return d, nil
}

// URL is where it is.
func (d *Downstream) URL() string { return "http://" + d.addr }

// ServeHTTP answers after the latency of the scene.
func (d *Downstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-time.After(d.scene.Now().latency()):
	case <-r.Context().Done():
		return
	}
	if d.count.Add(1)%failEvery == 0 {
		http.Error(w, "one of many fails", http.StatusInternalServerError)
	}
}

// Close ends it.
func (d *Downstream) Close() error {
	err := d.server.Close()
	if served := <-d.ended; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}
