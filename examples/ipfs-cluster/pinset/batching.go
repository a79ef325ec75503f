package pinset

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

// Batching keeps writes back until Commit. Reads do not see them before.
type Batching struct {
	*PinSet
	mu      sync.Mutex
	pending map[api.Cid]client.Change
}

// NewBatching is the batching pin set behind a client.
func NewBatching(c *client.Client) *Batching {
	return &Batching{PinSet: New(c), pending: map[api.Cid]client.Change{}}
}

// Add writes a pin with the next Commit.
func (b *Batching) Add(_ context.Context, pin api.Pin) error {
	return b.keep(client.Change{Pin: pin})
}

// Rm removes a pin with the next Commit.
func (b *Batching) Rm(_ context.Context, cid api.Cid) error {
	return b.keep(client.Change{Pin: api.Pin{Cid: cid}, Delete: true})
}

// keep keeps the last change of each CID: those before it would be overwritten anyway.
func (b *Batching) keep(change client.Change) error {
	if !change.Pin.Cid.Defined() {
		return errors.New("a pin without a CID cannot be kept")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending[change.Pin.Cid] = change
	return nil
}

// Pending is how many changes wait for Commit.
func (b *Batching) Pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending)
}

// Commit makes the changes durable. What could not be written goes with the next Commit, unless it has been changed again by
// then; what the host will never take is named in the error and dropped.
func (b *Batching) Commit(ctx context.Context) error {
	b.mu.Lock()
	taken := b.pending
	b.pending = make(map[api.Cid]client.Change, len(taken))
	b.mu.Unlock()

	changes := make([]client.Change, 0, len(taken))
	for _, change := range taken {
		changes = append(changes, change)
	}
	failures, err := b.client.Batch(ctx, changes)
	if err != nil {
		b.putBack(taken)
		return fmt.Errorf("committing %d changes: %w", len(changes), err)
	}
	errs := make([]error, 0, len(failures))
	for _, failure := range failures {
		errs = append(errs, fmt.Errorf("%s: %w", failure.Change.Pin.Cid, failure.Err))
	}
	return errors.Join(errs...)
}

func (b *Batching) putBack(taken map[api.Cid]client.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for cid, change := range taken {
		if _, newer := b.pending[cid]; !newer {
			b.pending[cid] = change
		}
	}
}
