package consensus

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	peer "github.com/libp2p/go-libp2p/core/peer"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

// cursorEvery is how much of the feed may be gone through again after a peer was killed. Nothing is lost by it: the feed tells
// everything at least once, and the tracker may be told twice.
const cursorEvery = 500 * time.Millisecond

// walkedAtOnce is how many pins of a walk are noted, with one sync, before the tracker is told of them.
const walkedAtOnce = 1000

// untrackPause is between two attempts to tell the tracker of a removed pin. It refuses only while its queue is full.
const untrackPause = time.Second

// follower tells the peer's tracker what has changed in the pin set.
type follower struct {
	self   peer.ID
	client *client.Client
	rpc    *rpc.Client
	memory memory
	// kept is when the cursor was last kept.
	kept time.Time
}

// run follows the feed from where this peer had come to. A peer that is new, or was away for longer than the feed goes back,
// walks through the whole pin set first.
func (f *follower) run(ctx context.Context) error {
	cursor, known, err := f.memory.cursor(ctx)
	if err != nil {
		return err
	}
	for {
		if !known {
			if cursor, err = f.walk(ctx); err != nil {
				return err
			}
		}
		var at client.Cursor
		err = f.client.Follow(ctx, cursor, func(event client.Event) error {
			at = event.Cursor
			return f.apply(ctx, event)
		})
		if at > cursor {
			// On the way out as well, so that the next start goes on here.
			if keepErr := f.memory.keepCursor(context.WithoutCancel(ctx), at); keepErr != nil {
				logger.Errorf("the place in the feed is not kept: %s", keepErr)
			}
		}
		if !errors.Is(err, client.ErrCursorTooOld) && !errors.Is(err, client.ErrCursorInFuture) {
			return err
		}
		logger.Warnf("walking through the whole pin set: %s", err)
		known = false
	}
}

func (f *follower) apply(ctx context.Context, event client.Event) error {
	var err error
	switch {
	case !event.Cid.Defined():
	case event.Pin == nil:
		err = f.untrack(ctx, event.Cid)
	default:
		err = f.track(ctx, *event.Pin, tracked{version: event.Version})
	}
	if err != nil || time.Since(f.kept) < cursorEvery {
		return err
	}
	f.kept = time.Now()
	return f.memory.keepCursor(ctx, event.Cursor)
}

// walk brings the tracker in line with the whole pin set and answers where the feed goes on.
func (f *follower) walk(ctx context.Context) (client.Cursor, error) {
	round, err := f.memory.nextRound(ctx)
	if err != nil {
		return 0, err
	}
	head, err := f.list(ctx, round)
	if err != nil {
		return 0, err
	}
	err = f.memory.missedBy(ctx, round, func(cid api.Cid) error {
		// It may have come after the list began, and was told of by the feed then.
		there, err := f.client.Has(ctx, cid)
		if err != nil || there {
			return err
		}
		return f.untrack(ctx, cid)
	})
	if err != nil {
		return 0, err
	}
	return head, f.memory.keepCursor(ctx, head)
}

// list tells the tracker of the pins that it has not been told of yet. A list that cannot be finished is begun again: without
// it the peer would not know what it has to keep.
func (f *follower) list(ctx context.Context, round uint64) (client.Cursor, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		var waiting []client.Versioned
		head, err := f.client.List(ctx, func(pin client.Versioned) error {
			waiting = append(waiting, pin)
			if len(waiting) < walkedAtOnce {
				return nil
			}
			met := waiting
			waiting = nil
			return f.meet(ctx, met, round)
		})
		if err == nil {
			err = f.meet(ctx, waiting, round)
		}
		if err == nil || ctx.Err() != nil {
			return head, err
		}
		logger.Errorf("the pin set cannot be listed, trying again: %s", err)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// meet notes pins that a walk has come to, and then tells the tracker of those that it does not know. The note comes first: a
// pin that the tracker keeps and nobody remembers would never be unpinned if it went while the peer is away.
func (f *follower) meet(ctx context.Context, pins []client.Versioned, round uint64) error {
	var news []client.Versioned
	for _, pin := range pins {
		before, known, err := f.memory.tracked(ctx, pin.Cid)
		if err != nil {
			return err
		}
		if !known && pin.IsRemotePin(f.self) {
			continue
		}
		if !known || before.version != pin.Version {
			news = append(news, pin)
		}
		if err := f.memory.keepTracked(ctx, pin.Cid, tracked{version: before.version, round: round}); err != nil {
			return err
		}
	}
	if err := f.memory.sync(ctx); err != nil {
		return err
	}
	for _, pin := range news {
		if err := f.track(ctx, pin.Pin, tracked{version: pin.Version, round: round}); err != nil {
			return err
		}
	}
	return nil
}

// track tells the tracker of a pin. A tracker that refuses has noted it as failed and recovers it by itself.
func (f *follower) track(ctx context.Context, pin api.Pin, entry tracked) error {
	err := f.rpc.CallContext(ctx, "", "PinTracker", "Track", pin, &struct{}{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		logger.Errorf("tracking %s: %s", pin.Cid, err)
	}
	if pin.IsRemotePin(f.self) {
		return f.memory.forget(ctx, pin.Cid)
	}
	return f.memory.keepTracked(ctx, pin.Cid, entry)
}

// untrack tells the tracker of a removed pin until it has taken it: nothing else would ever unpin it.
func (f *follower) untrack(ctx context.Context, cid api.Cid) error {
	for {
		err := f.rpc.CallContext(ctx, "", "PinTracker", "Untrack", api.PinCid(cid), &struct{}{})
		if err == nil {
			return f.memory.forget(ctx, cid)
		}
		logger.Errorf("untracking %s, trying again: %s", cid, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(untrackPause):
		}
	}
}
