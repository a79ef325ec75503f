package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of one request, half of what a host takes: pins are small, and a request that fails is sent again whole.
const (
	batchEntries = 5_000
	batchBytes   = 8 << 20
)

// Fields of an entry of a batch, see the State API.
const (
	entryPut       = 1
	entryDelete    = 2
	entryIfVersion = 3
	entryIfAbsent  = 4
)

// Change is one entry of a batch: a pin that is put, or with Delete the removal of the one with Pin's CID.
type Change struct {
	Pin    api.Pin
	Delete bool
	When   Condition
}

// Failure is an entry of a batch that did not take effect, and why.
type Failure struct {
	Change Change
	Err    error
}

type batchAnswer struct {
	Failed []struct {
		Index  int    `json:"index"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"failed"`
}

// Batch makes changes, each atomic by itself: all are durable but those that it names. No CID may come twice, because what
// failed for a moment is sent again after what came later. An error says that nothing is known of the changes that it does not
// name; sending them again does no harm.
func (c *Client) Batch(ctx context.Context, changes []Change) ([]Failure, error) {
	if err := eachOnce(changes); err != nil {
		return nil, err
	}
	var failures []Failure
	for len(changes) > 0 {
		body, taken, err := encode(changes)
		if err != nil {
			return failures, err
		}
		failed, err := c.commit(ctx, changes[:taken], body)
		failures = append(failures, failed...)
		if err != nil {
			return failures, err
		}
		changes = changes[taken:]
	}
	return failures, nil
}

func eachOnce(changes []Change) error {
	seen := make(map[api.Cid]struct{}, len(changes))
	for _, change := range changes {
		if _, twice := seen[change.Pin.Cid]; twice {
			return fmt.Errorf("the batch names %s twice; send the last of its changes only", change.Pin.Cid)
		}
		seen[change.Pin.Cid] = struct{}{}
	}
	return nil
}

// commit sends one request, and again what the host could not do just then.
func (c *Client) commit(ctx context.Context, changes []Change, body []byte) ([]Failure, error) {
	var lasting []Failure
	for round := 1; ; round++ {
		failures, err := c.post(ctx, changes, body)
		if err != nil {
			return lasting, err
		}
		changes = changes[:0:0]
		for _, failure := range failures {
			if isPassing(failure.Err) && round < c.attempts {
				changes = append(changes, failure.Change)
			} else {
				lasting = append(lasting, failure)
			}
		}
		if len(changes) == 0 {
			return lasting, nil
		}
		if err := sleep(ctx, pause(round, nil)); err != nil {
			return lasting, err
		}
		if body, _, err = encode(changes); err != nil {
			return lasting, err
		}
	}
}

func (c *Client) post(ctx context.Context, changes []Change, body []byte) ([]Failure, error) {
	header := http.Header{"Content-Type": {typeProtobuf}, "Accept": {typeJSON}}
	got, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/state/batch", header: header, body: body})
	if err != nil {
		return nil, err
	}
	var said batchAnswer
	if err := json.Unmarshal(got.body, &said); err != nil {
		return nil, fmt.Errorf("the host's answer to a batch cannot be read: %w", err)
	}
	var failures []Failure
	for _, failed := range said.Failed {
		if failed.Index < 0 || failed.Index >= len(changes) {
			return nil, fmt.Errorf("the host speaks of entry %d of a batch of %d", failed.Index, len(changes))
		}
		problem := &Problem{Status: failed.Status, Code: failed.Code, Detail: failed.Detail}
		failures = append(failures, Failure{Change: changes[failed.Index], Err: problem})
	}
	return failures, nil
}

// encode writes as many changes as fit into one request, each with its length before it.
func encode(changes []Change) (body []byte, taken int, err error) {
	for _, change := range changes {
		entry, err := change.encode()
		if err != nil {
			return nil, 0, err
		}
		if taken == batchEntries || (taken > 0 && len(body)+len(entry) > batchBytes) {
			break
		}
		body = protowire.AppendBytes(body, entry)
		taken++
	}
	return body, taken, nil
}

func (c Change) encode() ([]byte, error) {
	var entry []byte
	if !c.Pin.Cid.Defined() {
		return nil, errors.New("a change without a CID")
	}
	if c.Delete {
		entry = protowire.AppendTag(entry, entryDelete, protowire.BytesType)
		entry = protowire.AppendBytes(entry, c.Pin.Cid.Bytes())
	} else {
		pin, err := c.Pin.ProtoMarshal()
		if err != nil {
			return nil, fmt.Errorf("the pin %s cannot be written: %w", c.Pin.Cid, err)
		}
		entry = protowire.AppendTag(entry, entryPut, protowire.BytesType)
		entry = protowire.AppendBytes(entry, pin)
	}
	if c.When.version > 0 {
		entry = protowire.AppendTag(entry, entryIfVersion, protowire.VarintType)
		entry = protowire.AppendVarint(entry, c.When.version)
	}
	if c.When.absent {
		entry = protowire.AppendTag(entry, entryIfAbsent, protowire.VarintType)
		entry = protowire.AppendVarint(entry, 1)
	}
	return entry, nil
}
