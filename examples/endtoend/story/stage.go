package story

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

// A stage is all that the story is played with.
type stage struct {
	cfg      Config
	book     *book
	gateway  *gateway
	door     *site // of the gateway
	page     *site
	billing  *fakedownstream.Downstream
	billed   *fakedownstream.Server
	calls    *http.Transport // to billing
	clients  *clients
	consumer *consumer.Consumer
	watch    *watch
	teller   teller
	late     time.Duration // the worst of all scenes; for who plays, and the summary after that
}

func newStage(ctx context.Context, c Config) (*stage, error) {
	st := &stage{cfg: c, book: new(book), calls: newTransport(workersOfWorker)}
	err := st.build(ctx)
	if err != nil {
		st.close()
		return nil, err
	}
	return st, nil
}

// build goes from billing back to the tenants.
func (st *stage) build(ctx context.Context) (err error) {
	defer func() {
		if err != nil && st.page == nil {
			_ = st.cfg.Page.Close()
		}
	}()
	const anywhere = "127.0.0.1:0"
	if st.billing, err = fakedownstream.New(fakedownstream.Config{Workers: billingWorkers, Service: billingTime}); err != nil {
		return err
	}
	if st.billed, err = fakedownstream.Start(anywhere, st.billing); err != nil {
		return err
	}
	if err = makeStream(ctx, st.cfg.JetStream); err != nil {
		return err
	}
	if st.consumer, err = newWorker(st.cfg.JetStream, st.billed.URL(), &http.Client{Transport: st.calls}, st.book, st.cfg.Logger); err != nil {
		return err
	}
	if st.gateway, err = newGateway(st.cfg.JetStream, st.book.stored); err != nil {
		return err
	}
	listen := st.cfg.Page.Addr().String()
	page, err := newPage(st.consumer, st.gateway, listen, st.cfg.Logger)
	if err != nil {
		return err
	}
	if err = st.consumer.Observe(st.teller.observer()); err != nil {
		return err
	}
	door, err := net.Listen("tcp", anywhere)
	if err != nil {
		return err
	}
	st.page, st.door = open(st.cfg.Page, page), open(door, st.gateway.handler())
	st.clients = newClients("http://"+st.door.addr, st.book)
	st.watch = &watch{take: st.sample, news: make(chan struct{}, 1)}
	st.teller.begun, st.teller.page, st.teller.length = time.Now(), "http://"+st.page.addr, st.cfg.Scene
	return nil
}

// close ends what was begun, from the tenants to billing.
func (st *stage) close() {
	if st.clients != nil {
		st.clients.http.CloseIdleConnections()
	}
	for _, s := range []*site{st.door, st.page} {
		if s != nil {
			s.close()
		}
	}
	st.calls.CloseIdleConnections()
	if st.billed != nil {
		st.billed.Close()
	}
}

// sample reads all metrics.
func (st *stage) sample() sample {
	s := sample{at: time.Now(), snap: st.consumer.Snapshot(), billing: st.billing.Stats(), opened: int(st.teller.opened.Load())}
	for i, tenant := range tenants {
		s.refused[i] = st.gateway.doors[tenant].Stats().Rejected
	}
	s.failed = st.book.failedRuns()
	return s
}

// show shows a sample.
func (st *stage) show(s sample) { st.cfg.Show(st.teller.moment(s, st.book)) }
