// Package pinset is the pin set of a cluster as Holdfast keeps it, in the shape in which IPFS Cluster asks for one: state.State
// and state.BatchingState.
package pinset

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	logging "github.com/ipfs/go-log/v2"
	"go.opencensus.io/stats"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

var logger = logging.Logger("pinset")

var (
	_ state.State         = (*PinSet)(nil)
	_ state.BatchingState = (*Batching)(nil)
)

// listingStep is after how many pins a long list says that it goes on.
const listingStep = 500_000

// PinSet reads and writes pins at once: what it has answered is durable.
type PinSet struct {
	client *client.Client
}

// New is the pin set behind a client.
func New(c *client.Client) *PinSet { return &PinSet{client: c} }

// Add writes a pin, new or not. The last write wins.
func (s *PinSet) Add(ctx context.Context, pin api.Pin) error {
	_, err := s.client.Put(ctx, pin, client.Condition{})
	return err
}

// Rm removes a pin; one that is not there is fine.
func (s *PinSet) Rm(ctx context.Context, cid api.Cid) error {
	if !cid.Defined() {
		return nil
	}
	return s.client.Delete(ctx, cid, client.Condition{})
}

// Get answers a pin, or state.ErrNotFound itself: callers compare it as it is, and its text over RPC. Whoever adds content asks
// for the pin of no CID at all, before its root is known; there is none, and no host needs to be asked.
func (s *PinSet) Get(ctx context.Context, cid api.Cid) (api.Pin, error) {
	if !cid.Defined() {
		return api.Pin{}, state.ErrNotFound
	}
	pin, err := s.client.Get(ctx, cid)
	if errors.Is(err, client.ErrNotFound) {
		return api.Pin{}, state.ErrNotFound
	}
	return pin.Pin, err
}

// Has says whether there is a pin.
func (s *PinSet) Has(ctx context.Context, cid api.Cid) (bool, error) {
	if !cid.Defined() {
		return false, nil
	}
	return s.client.Has(ctx, cid)
}

// List sends every pin to `out`, in no order, and closes it in any case.
func (s *PinSet) List(ctx context.Context, out chan<- api.Pin) error {
	defer close(out)
	total := int64(0)
	_, err := s.client.List(ctx, func(pin client.Versioned) error {
		select {
		case out <- pin.Pin:
		case <-ctx.Done():
			return ctx.Err()
		}
		total++
		if total%listingStep == 0 {
			logger.Infof("listing goes on: %d pins so far", total)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("full pinset listing aborted: %w", err)
	}
	stats.Record(ctx, observations.Pins.M(total))
	return nil
}

// Migrate has nothing to do: the host brings its store up to date by itself.
func (s *PinSet) Migrate(context.Context, io.Reader) error { return nil }
