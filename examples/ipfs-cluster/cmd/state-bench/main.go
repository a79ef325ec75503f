// Command state-bench reads and writes pins over HTTP, one at a time from many goroutines: on a Holdfast host by this module's
// client, and on a peer of IPFS Cluster, whose state is on Pebble, by its REST API. Both are programs of their own on this
// machine, measured in turn. It prints rows of the speed table.
//
// The peer runs as `init` makes it, without a Kubo node behind: its tracker then fails at once, which costs it less than pins
// would. Its writes are not synced to the disk one by one; the host's are durable when they are answered.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"holdfast.invalid/examples/ipfs-cluster/client"
	"holdfast.invalid/examples/ipfs-cluster/suites/hosts"
)

const (
	// workers are as many as a peer pins with when it is busy, and fit the connections that clients keep.
	workers = 64
	// rounds of each row: ours and theirs in turn.
	rounds = 3
	// filled is how many pins there are to be read.
	filled = 5000
	// goal of both rows.
	goal = ">= 5"
)

// store is what is measured.
type store interface {
	get(context.Context, api.Cid) error
	put(context.Context, api.Pin) error
}

// row is one of the speed table.
type row struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Beside string  `json:"beside"`
	Theirs float64 `json:"theirs"`
	Ratio  float64 `json:"ratio"`
	Goal   string  `json:"goal"`
}

func main() {
	peer := flag.String("peer", "", "IPFS Cluster's `ipfs-cluster-service`, the program to compare with")
	seconds := flag.Int("seconds", 3, "seconds of each measured stretch")
	only := flag.String("row", "", "only this row: go_state_get or go_state_put")
	flag.Parse()
	if err := run(*peer, *only, time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "state-bench:", err)
		os.Exit(1)
	}
}

func run(program, only string, stretch time.Duration) error {
	if program == "" {
		return errors.New("--peer is not given; let it name IPFS Cluster's ipfs-cluster-service")
	}
	options, err := hosts.Start()
	if err != nil {
		return err
	}
	ours, err := client.New(options)
	if err != nil {
		return err
	}
	theirs, err := startPeer(program)
	if err != nil {
		return err
	}
	defer theirs.stop()
	sides := [2]store{holdfast{ours}, theirs}
	for _, side := range sides {
		if err := fill(side); err != nil {
			return err
		}
	}
	rows := make([]row, 0, 2)
	for name, work := range map[string]func(n uint64) func(store) error{"go_state_get": get, "go_state_put": put} {
		if only != "" && only != name {
			continue
		}
		measured, err := compare(name, sides, work, stretch)
		if err != nil {
			return err
		}
		rows = append(rows, measured)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string][]row{"rows": rows})
}

// get reads one of the pins that were filled in.
func get(n uint64) func(store) error {
	return func(s store) error { return s.get(context.Background(), numbered(n*7919%filled)) }
}

// put writes a pin that is new.
func put(n uint64) func(store) error {
	return func(s store) error { return s.put(context.Background(), pin(filled+n)) }
}

// holdfast is a host behind this module's client.
type holdfast struct{ client *client.Client }

func (h holdfast) get(ctx context.Context, cid api.Cid) error {
	_, err := h.client.Get(ctx, cid)
	return err
}

func (h holdfast) put(ctx context.Context, pin api.Pin) error {
	_, err := h.client.Put(ctx, pin, client.Condition{})
	return err
}

// compare measures both sides in turn and takes the medians. Each call has a number of its own.
func compare(name string, sides [2]store, work func(n uint64) func(store) error, stretch time.Duration) (row, error) {
	var speeds [2][]float64
	var ratios []float64
	var calls atomic.Uint64
	for round := range rounds {
		for n, side := range sides {
			speed, err := measure(func() error { return work(calls.Add(1))(side) }, stretch)
			if err != nil {
				return row{}, fmt.Errorf("%s: %w", name, err)
			}
			speeds[n] = append(speeds[n], speed)
		}
		ratios = append(ratios, speeds[0][round]/speeds[1][round])
	}
	return row{
		Name: name, Unit: "calls/s", Ours: median(speeds[0]), Beside: "IPFS Cluster on Pebble", Theirs: median(speeds[1]),
		Ratio: median(ratios), Goal: goal,
	}, nil
}

// measure answers how many calls a second the workers were answered.
func measure(call func() error, stretch time.Duration) (float64, error) {
	begin := time.Now()
	var done atomic.Uint64
	err := crowd(func(int) error {
		for time.Since(begin) < stretch {
			if err := call(); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()) / time.Since(begin).Seconds(), err
}

// fill puts the pins that are read.
func fill(side store) error {
	return crowd(func(worker int) error {
		for n := worker; n < filled; n += workers {
			if err := side.put(context.Background(), pin(uint64(n))); err != nil {
				return fmt.Errorf("filling: %w", err)
			}
		}
		return nil
	})
}

// crowd runs all workers to their end.
func crowd(work func(worker int) error) error {
	errs := make([]error, workers)
	var all sync.WaitGroup
	for n := range workers {
		all.Go(func() { errs[n] = work(n) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// numbered is the n-th CID: version 1, raw, SHA-256.
func numbered(n uint64) api.Cid {
	digest, err := multihash.Sum(fmt.Appendf(nil, "pin %d", n), multihash.SHA2_256, -1)
	if err != nil {
		panic(err) // the hash is built in
	}
	return api.NewCid(cid.NewCidV1(cid.Raw, digest))
}

func pin(n uint64) api.Pin {
	options := api.PinOptions{
		Name: fmt.Sprintf("pin-%d", n), Metadata: map[string]string{"dataset": "spring"},
		ReplicationFactorMin: -1, ReplicationFactorMax: -1,
	}
	return api.PinWithOpts(numbered(n), options)
}
