package pinset

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/boxo/datastore/dshelp"
	ds "github.com/ipfs/go-datastore"
	"github.com/ugorji/go/codec"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

// restoreStep is how many pins of a snapshot are written in one batch.
const restoreStep = 2_000

// snapshotEntry is one pin of IPFS Cluster's snapshot format: MessagePack maps one after another, with the name under which a
// datastore would keep the pin and its protobuf form.
type snapshotEntry struct {
	Key   string `codec:"k"`
	Value []byte `codec:"v"`
}

// Marshal writes a snapshot of the whole pin set in IPFS Cluster's format.
func (s *PinSet) Marshal(w io.Writer) error {
	encoder := codec.NewEncoder(w, &codec.MsgpackHandle{})
	_, err := s.client.List(context.Background(), func(pin client.Versioned) error {
		value, err := pin.ProtoMarshal()
		if err != nil {
			return fmt.Errorf("%s: %w", pin.Cid, err)
		}
		key := dshelp.NewKeyFromBinary(pin.Cid.Bytes())
		return encoder.Encode(snapshotEntry{Key: key.BaseNamespace(), Value: value})
	})
	return err
}

// Unmarshal adds the pins of a snapshot to those that are there.
func (s *PinSet) Unmarshal(r io.Reader) error {
	into := &Batching{PinSet: s, pending: map[api.Cid]client.Change{}}
	ctx := context.Background()
	decoder := codec.NewDecoder(r, &codec.MsgpackHandle{})
	for {
		var entry snapshotEntry
		err := decoder.Decode(&entry)
		if errors.Is(err, io.EOF) {
			return into.Commit(ctx)
		}
		if err != nil {
			return fmt.Errorf("reading the snapshot: %w", err)
		}
		pin, err := entry.pin()
		if err != nil {
			return err
		}
		if err := into.Add(ctx, pin); err != nil {
			return err
		}
		if into.Pending() >= restoreStep {
			if err := into.Commit(ctx); err != nil {
				return err
			}
		}
	}
}

func (e snapshotEntry) pin() (api.Pin, error) {
	name, err := dshelp.BinaryFromDsKey(ds.NewKey(e.Key))
	if err != nil {
		return api.Pin{}, fmt.Errorf("the snapshot has the key %q: %w", e.Key, err)
	}
	cid, err := api.CastCid(name)
	if err != nil {
		return api.Pin{}, fmt.Errorf("the snapshot has the key %q: %w", e.Key, err)
	}
	var pin api.Pin
	if err := pin.ProtoUnmarshal(e.Value); err != nil {
		return api.Pin{}, fmt.Errorf("the pin %s of the snapshot: %w", cid, err)
	}
	pin.Cid = cid
	return pin, nil
}
