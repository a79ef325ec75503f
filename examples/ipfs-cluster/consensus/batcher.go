package consensus

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"holdfast.invalid/examples/ipfs-cluster/client"
	"holdfast.invalid/examples/ipfs-cluster/pinset"
)

// lastCommit is how long a peer that stops waits for its last batches.
const lastCommit = 30 * time.Second

// batcher gathers writes and commits them when there are enough, or when the oldest has waited long enough. What it holds is in
// memory only, as in IPFS Cluster's own batching: a peer that is killed loses what it had not committed.
type batcher struct {
	client   *client.Client
	settings Batching
	work     chan struct{}
	stop     chan struct{}
	stopped  chan struct{}

	mu     sync.Mutex
	closed bool
	// open takes writes. Those that are full wait in their order: a later write of a pin must not be overtaken by an earlier.
	open *pinset.Batching
	full []*pinset.Batching
}

func newBatcher(c *client.Client, settings Batching) *batcher {
	b := &batcher{
		client: c, settings: settings, open: pinset.NewBatching(c),
		work: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go b.run()
	return b
}

func (b *batcher) put(pin api.Pin) error {
	return b.keep(func(into *pinset.Batching) error { return into.Add(context.Background(), pin) })
}

func (b *batcher) remove(cid api.Cid) error {
	return b.keep(func(into *pinset.Batching) error { return into.Rm(context.Background(), cid) })
}

func (b *batcher) keep(write func(into *pinset.Batching) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return ErrShutdown
	case b.pending() >= b.settings.MaxQueueSize:
		return ErrQueueFull
	}
	if err := write(b.open); err != nil {
		return err
	}
	if b.open.Pending() >= b.settings.MaxBatchSize {
		b.seal()
	}
	select {
	case b.work <- struct{}{}:
	default: // it has been told already
	}
	return nil
}

// pending is how many writes wait. The lock is held.
func (b *batcher) pending() int {
	count := b.open.Pending()
	for _, batch := range b.full {
		count += batch.Pending()
	}
	return count
}

// seal closes the open batch, if there is anything in it. The lock is held.
func (b *batcher) seal() {
	if b.open.Pending() > 0 {
		b.full = append(b.full, b.open)
		b.open = pinset.NewBatching(b.client)
	}
}

// run commits until the batcher is closed. A batch that cannot be committed is tried again when the next is due.
func (b *batcher) run() {
	defer close(b.stopped)
	age := time.NewTimer(b.settings.MaxBatchAge)
	age.Stop()
	ages := false
	for {
		due := false
		select {
		case <-b.stop:
			return
		case <-b.work:
		case <-age.C:
			due, ages = true, false
		}
		b.commit(context.Background(), due)
		b.mu.Lock()
		left := b.pending()
		b.mu.Unlock()
		if left > 0 && !ages {
			age.Reset(b.settings.MaxBatchAge)
			ages = true
		}
	}
}

// commit commits the full batches in their order, and the open one too if it is due, as far as it gets.
func (b *batcher) commit(ctx context.Context, due bool) {
	for {
		b.mu.Lock()
		if due && len(b.full) == 0 {
			b.seal()
			due = false
		}
		if len(b.full) == 0 {
			b.mu.Unlock()
			return
		}
		batch := b.full[0]
		b.mu.Unlock()
		count := batch.Pending()
		if err := batch.Commit(ctx); err != nil {
			logger.Errorf("a batch of %d changes: %s", count, err)
		} else {
			logger.Infof("a batch of %d changes is written", count)
		}
		if batch.Pending() > 0 {
			return
		}
		b.mu.Lock()
		b.full = b.full[1:]
		b.mu.Unlock()
	}
}

// close takes no more and commits what is there.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.stop)
	<-b.stopped
	ctx, cancel := context.WithTimeout(context.Background(), lastCommit)
	defer cancel()
	b.commit(ctx, true)
}
