package consensus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

// Names in the peer's datastore.
var (
	memoryRoot  = ds.NewKey("/holdfast")
	cursorName  = memoryRoot.ChildString("cursor")
	roundName   = memoryRoot.ChildString("round")
	trackedRoot = memoryRoot.ChildString("tracked")
)

// memory is what a peer keeps of the feed over restarts: how far it has come, and which pins it told its tracker to keep. By
// the latter it finds out what was removed while it was away for longer than the feed goes back.
type memory struct {
	store ds.Datastore
}

// tracked is what is kept of a pin that the tracker was told to keep.
type tracked struct {
	// version of the pin that the tracker was told of; 0 if it is about to be told of its first.
	version uint64
	// round is the walk through the whole pin set that has last met it.
	round uint64
}

// cursor answers where the feed goes on, and whether that is known.
func (m memory) cursor(ctx context.Context) (client.Cursor, bool, error) {
	at, known, err := m.number(ctx, cursorName)
	return client.Cursor(at), known, err
}

// keepCursor keeps a place in the feed, and all that was kept before, also from a peer that is killed: a datastore has the last
// writes in the memory of the peer's process until it is asked to sync.
func (m memory) keepCursor(ctx context.Context, at client.Cursor) error {
	if err := m.store.Put(ctx, cursorName, binary.AppendUvarint(nil, uint64(at))); err != nil {
		return err
	}
	return m.sync(ctx)
}

func (m memory) sync(ctx context.Context) error { return m.store.Sync(ctx, memoryRoot) }

// nextRound numbers a walk through the whole pin set; one that was broken off and begun again gets a number of its own.
func (m memory) nextRound(ctx context.Context) (uint64, error) {
	last, _, err := m.number(ctx, roundName)
	if err != nil {
		return 0, err
	}
	return last + 1, m.store.Put(ctx, roundName, binary.AppendUvarint(nil, last+1))
}

// value is what is kept under a name, nothing if there is none.
func (m memory) value(ctx context.Context, name ds.Key) ([]byte, error) {
	value, err := m.store.Get(ctx, name)
	if errors.Is(err, ds.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return value, nil
}

func (m memory) number(ctx context.Context, name ds.Key) (uint64, bool, error) {
	value, err := m.value(ctx, name)
	number, n := binary.Uvarint(value)
	return number, n > 0, err
}

func (m memory) tracked(ctx context.Context, cid api.Cid) (tracked, bool, error) {
	value, err := m.value(ctx, trackedName(cid))
	entry, ok := decodeTracked(value)
	return entry, ok, err
}

func (m memory) keepTracked(ctx context.Context, cid api.Cid, entry tracked) error {
	value := binary.AppendUvarint(nil, entry.version)
	return m.store.Put(ctx, trackedName(cid), binary.AppendUvarint(value, entry.round))
}

func (m memory) forget(ctx context.Context, cid api.Cid) error {
	return m.store.Delete(ctx, trackedName(cid))
}

// missedBy gives each tracked pin that a walk has not met.
func (m memory) missedBy(ctx context.Context, round uint64, each func(api.Cid) error) error {
	rows, err := m.store.Query(ctx, query.Query{Prefix: trackedRoot.String()})
	if err != nil {
		return err
	}
	defer rows.Close()
	for row := range rows.Next() {
		if row.Error != nil {
			return row.Error
		}
		if entry, ok := decodeTracked(row.Value); ok && entry.round >= round {
			continue
		}
		cid, err := trackedCid(row.Key)
		if err != nil {
			logger.Warnf("%s in the peer's datastore is no pin: %s", row.Key, err)
			continue
		}
		if err := each(cid); err != nil {
			return err
		}
	}
	return nil
}

func (m memory) clear(ctx context.Context) error {
	rows, err := m.store.Query(ctx, query.Query{Prefix: memoryRoot.String(), KeysOnly: true})
	if err != nil {
		return err
	}
	defer rows.Close()
	for row := range rows.Next() {
		if row.Error != nil {
			return row.Error
		}
		if err := m.store.Delete(ctx, ds.NewKey(row.Key)); err != nil {
			return err
		}
	}
	return nil
}

func trackedName(cid api.Cid) ds.Key {
	return trackedRoot.Child(dshelp.NewKeyFromBinary(cid.Bytes()))
}

func trackedCid(name string) (api.Cid, error) {
	bytes, err := dshelp.BinaryFromDsKey(ds.NewKey(ds.NewKey(name).BaseNamespace()))
	if err != nil {
		return api.CidUndef, err
	}
	return api.CastCid(bytes)
}

func decodeTracked(value []byte) (tracked, bool) {
	version, n := binary.Uvarint(value)
	if n <= 0 {
		return tracked{}, false
	}
	round, m := binary.Uvarint(value[n:])
	return tracked{version: version, round: round}, m > 0
}
