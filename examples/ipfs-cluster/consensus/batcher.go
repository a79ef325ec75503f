package consensus

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"holdfast.invalid/examples/ipfs-cluster/pinset"
)

// lastCommit is how long a peer that stops waits for its last batch.
const lastCommit = 30 * time.Second

// batcher gathers writes and commits them when there are enough, or when the oldest has waited long enough. What it holds is in
// memory only, as in IPFS Cluster's own batching: a peer that is killed loses what it had not committed.
type batcher struct {
	state    *pinset.Batching
	settings Batching
	work     chan struct{}
	stop     chan struct{}
	stopped  chan struct{}
	mu       sync.Mutex
	closed   bool
}

func newBatcher(state *pinset.Batching, settings Batching) *batcher {
	b := &batcher{
		state: state, settings: settings,
		work: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go b.run()
	return b
}

func (b *batcher) put(pin api.Pin) error {
	return b.keep(func() error { return b.state.Add(context.Background(), pin) })
}

func (b *batcher) remove(cid api.Cid) error {
	return b.keep(func() error { return b.state.Rm(context.Background(), cid) })
}

func (b *batcher) keep(write func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrShutdown
	}
	if b.state.Pending() >= b.settings.MaxQueueSize {
		return ErrQueueFull
	}
	if err := write(); err != nil {
		return err
	}
	select {
	case b.work <- struct{}{}:
	default: // it has been told already
	}
	return nil
}

// run commits until the batcher is closed. A commit that fails leaves its changes pending and is tried again when the next is
// due.
func (b *batcher) run() {
	defer close(b.stopped)
	age := time.NewTimer(b.settings.MaxBatchAge)
	age.Stop()
	waiting := false
	for {
		select {
		case <-b.stop:
			return
		case <-b.work:
			if !waiting {
				age.Reset(b.settings.MaxBatchAge)
				waiting = true
			}
			if b.state.Pending() < b.settings.MaxBatchSize {
				continue
			}
		case <-age.C:
		}
		age.Stop()
		b.commit(context.Background())
		waiting = b.state.Pending() > 0
		if waiting {
			age.Reset(b.settings.MaxBatchAge)
		}
	}
}

func (b *batcher) commit(ctx context.Context) {
	count := b.state.Pending()
	if err := b.state.Commit(ctx); err != nil {
		logger.Errorf("a batch of %d changes: %s", count, err)
		return
	}
	logger.Infof("a batch of %d changes is written", count)
}

// close takes no more and commits what is there.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.stop)
	<-b.stopped
	if b.state.Pending() > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), lastCommit)
		defer cancel()
		b.commit(ctx)
	}
}
