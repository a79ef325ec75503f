package client

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"holdfast.invalid/examples/ipfs-cluster/internal/fakehost"
)

// An answer with large pins ends before all are told: the rest is asked for again.
func TestWhatAnAnswerLeavesOutIsAskedForAgain(t *testing.T) {
	host := fakehost.Start(fakehost.NewStore())
	defer host.Close()
	c, err := New(Options{Hosts: []string{host.URL}, Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	cids := make([]api.Cid, 10)
	for n := range cids {
		sum, err := multihash.Sum(fmt.Append(nil, n), multihash.SHA2_256, -1)
		if err != nil {
			t.Fatal(err)
		}
		pin := api.PinCid(api.NewCid(cid.NewCidV1(cid.Raw, sum)))
		pin.Name = fmt.Sprint(n)
		cids[n] = pin.Cid
		if n == 4 {
			continue
		}
		if _, err := c.Put(ctx, pin, Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	var requests atomic.Int32
	host.Fail(func(http.ResponseWriter, *http.Request, func()) bool { requests.Add(1); return false })
	host.EndReadsAfter(3)
	read, err := c.readSeveral(ctx, cids)
	if err != nil || len(read) != len(cids) || requests.Load() != 4 {
		t.Fatalf("%d answers in %d requests, %v", len(read), requests.Load(), err)
	}
	for n, one := range read {
		if isThere := one.err == nil; isThere != (n != 4) || isThere && one.value.Name != fmt.Sprint(n) {
			t.Errorf("%d: %+v", n, one)
		}
	}
}
