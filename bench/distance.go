package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// distance is a proxy that makes the server as far away as its round trip: every byte
// arrives half of that later, and as many may be on the way as there are.
type distance struct {
	net.Listener
	server string
	half   time.Duration
	relays sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// newDistance listens on loopback for clients of the server at addr.
func newDistance(addr string, roundTrip time.Duration) (*distance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &distance{Listener: l, server: addr, half: roundTrip / 2}
	d.relays.Go(d.accept)
	return d, nil
}

func (d *distance) url() string { return "nats://" + d.Addr().String() }

func (d *distance) accept() {
	for {
		client, err := d.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", d.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		d.mu.Lock()
		d.conns = append(d.conns, client, server)
		d.mu.Unlock()
		d.relays.Go(func() { d.relay(client, server) })
		d.relays.Go(func() { d.relay(server, client) })
	}
}

// stop cuts all connections and waits for their end.
func (d *distance) stop() error {
	err := d.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.relays.Wait()
	return err
}

// parcel is what was read at once, and when it may be written.
type parcel struct {
	data []byte
	due  time.Time
}

// maxParcels bounds what is on the way in one direction; each is at most 64 KiB.
const maxParcels = 4096

func (d *distance) relay(from, to net.Conn) {
	way := make(chan parcel, maxParcels)
	d.relays.Go(func() {
		for p := range way {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
		_ = to.Close()
	})
	defer close(way)
	for {
		data := make([]byte, 64<<10)
		n, err := from.Read(data)
		if n > 0 {
			way <- parcel{data[:n], time.Now().Add(d.half)}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				_ = to.Close()
			}
			return
		}
	}
}
