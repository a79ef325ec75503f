package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

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
	Versions []uint64 `json:"versions"`
}

// errUnknown is of a change of which nothing was heard.
var errUnknown = errors.New("nothing is known of the change")

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
		outcomes, err := c.commit(ctx, changes[:taken], body)
		for at, outcome := range outcomes {
			if outcome.err != nil && !errors.Is(outcome.err, errUnknown) {
				failures = append(failures, Failure{Change: changes[at], Err: outcome.err})
			}
		}
		if err != nil {
			return failures, err
		}
		changes = changes[taken:]
	}
	return failures, nil
}

// writeSeveral makes changes of different CIDs in as few requests as they fit into, and answers each in its place.
func (c *Client) writeSeveral(ctx context.Context, changes []Change) ([]outcome[uint64], error) {
	outcomes := make([]outcome[uint64], 0, len(changes))
	for len(changes) > 0 {
		body, taken, err := encode(changes)
		if err != nil {
			return append(outcomes, each(ctx, changes, c.write)...), nil
		}
		committed, err := c.commit(ctx, changes[:taken], body)
		if isRefusal(err) {
			committed = each(ctx, changes[:taken], c.write)
		} else if err != nil {
			nameCause(committed, err)
		}
		outcomes = append(outcomes, committed...)
		changes = changes[taken:]
	}
	return outcomes, nil
}

// each makes calls one by one: when they are refused together, the one that is at fault is told so and the others are served.
func each[Q, A any](ctx context.Context, questions []Q, alone func(context.Context, Q) (A, error)) []outcome[A] {
	outcomes := make([]outcome[A], len(questions))
	for at, question := range questions {
		outcomes[at].value, outcomes[at].err = alone(ctx, question)
	}
	return outcomes
}

func nameCause(outcomes []outcome[uint64], cause error) {
	for at := range outcomes {
		if errors.Is(outcomes[at].err, errUnknown) {
			outcomes[at].err = cause
		}
	}
}

// cidOf tells changes apart that must not go together, for the same reason.
func cidOf(change Change) any { return change.Pin.Cid }

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

// commit sends one request, and again what the host could not do just then; it answers each change in its place. With an error,
// nothing is known of some.
func (c *Client) commit(ctx context.Context, changes []Change, body []byte) ([]outcome[uint64], error) {
	outcomes := make([]outcome[uint64], len(changes))
	open := make([]int, len(changes))
	for at := range open {
		open[at], outcomes[at].err = at, errUnknown
	}
	sent := changes
	for round := 1; ; round++ {
		answered, isRepeated, err := c.post(ctx, sent, body)
		if err != nil {
			return outcomes, err
		}
		var again []int
		for n, at := range open {
			outcomes[at] = answered[n]
			if err := answered[n].err; err != nil && isPassing(err) && round < c.attempts {
				again, outcomes[at].err = append(again, at), errUnknown
			} else if (isRepeated || round > 1) && errors.Is(err, ErrVersionChanged) {
				outcomes[at].value, outcomes[at].err = c.settle(ctx, changes[at], err)
			}
		}
		if len(again) == 0 {
			return outcomes, nil
		}
		if err := sleep(ctx, pause(round, nil)); err != nil {
			return outcomes, err
		}
		open, sent = again, make([]Change, len(again))
		for n, at := range again {
			sent[n] = changes[at]
		}
		if body, _, err = encode(sent); err != nil {
			return outcomes, err
		}
	}
}

// post sends one request and answers each change in its place, and whether the request was repeated.
func (c *Client) post(ctx context.Context, changes []Change, body []byte) ([]outcome[uint64], bool, error) {
	header := http.Header{"Content-Type": {typeProtobuf}, "Accept": {typeJSON}}
	query := url.Values{"versions": {"true"}}
	what := call{method: http.MethodPost, path: "/v1/state/batch", query: query, header: header, body: body}
	got, err := c.do(ctx, what)
	if err != nil {
		return nil, false, err
	}
	var said batchAnswer
	if err := json.Unmarshal(got.body, &said); err != nil {
		return nil, false, fmt.Errorf("the host's answer to a batch cannot be read: %w", err)
	}
	if len(said.Versions) != len(changes) {
		return nil, false, fmt.Errorf("the host told %d versions of a batch of %d", len(said.Versions), len(changes))
	}
	outcomes := make([]outcome[uint64], len(changes))
	for at, version := range said.Versions {
		outcomes[at].value = version
	}
	for _, failed := range said.Failed {
		if failed.Index < 0 || failed.Index >= len(changes) {
			return nil, false, fmt.Errorf("the host speaks of entry %d of a batch of %d", failed.Index, len(changes))
		}
		outcomes[failed.Index].err = &Problem{Status: failed.Status, Code: failed.Code, Detail: failed.Detail}
	}
	return outcomes, got.repeated, nil
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
