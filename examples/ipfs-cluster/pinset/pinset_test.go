package pinset_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state"

	"holdfast.invalid/examples/ipfs-cluster/client"
	"holdfast.invalid/examples/ipfs-cluster/internal/fakehost"
	"holdfast.invalid/examples/ipfs-cluster/pinset"
)

func dial(t *testing.T) *client.Client {
	t.Helper()
	host := fakehost.Start(fakehost.NewStore())
	t.Cleanup(host.Close)
	c, err := client.New(client.Options{Hosts: []string{host.URL}, Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pin(t *testing.T, text string) api.Pin {
	t.Helper()
	cid, err := api.DecodeCid(text)
	if err != nil {
		t.Fatal(err)
	}
	p := api.PinCid(cid)
	p.ReplicationFactorMin, p.ReplicationFactorMax = -1, -1
	return p
}

func list(t *testing.T, st state.ReadOnly) int {
	t.Helper()
	out := make(chan api.Pin)
	failed := make(chan error, 1)
	go func() { failed <- st.List(context.Background(), out) }()
	count := 0
	for range out {
		count++
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return count
}

// Adding content asks for the pin of no CID, and goes on only if there is none.
func TestThereIsNoPinOfNoCid(t *testing.T) {
	ctx := context.Background()
	st := pinset.New(dial(t))
	if _, err := st.Get(ctx, api.CidUndef); err != state.ErrNotFound {
		t.Fatalf("the pin of no CID: %v", err)
	}
	if there, err := st.Has(ctx, api.CidUndef); there || err != nil {
		t.Fatalf("a pin of no CID: %v, %v", there, err)
	}
	if err := st.Rm(ctx, api.CidUndef); err != nil {
		t.Fatalf("removing the pin of no CID: %v", err)
	}
}

func TestWritesAreSeenAfterTheCommitOnly(t *testing.T) {
	ctx := context.Background()
	st := pinset.NewBatching(dial(t))
	one, two := pin(t, "bafkqaaa"), pin(t, "QmP63DkAFEnDYNjDYBpyNDfttu1fvUw99x1brscPzpqmmq")
	for _, p := range []api.Pin{one, two} {
		if err := st.Add(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Rm(ctx, two.Cid); err != nil {
		t.Fatal(err)
	}
	if n := list(t, st); n != 0 {
		t.Fatalf("%d pins before the commit", n)
	}
	if err := st.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Get(ctx, two.Cid); err != state.ErrNotFound {
		t.Fatalf("what was added and removed: %v", err)
	}
	if n := list(t, st); n != 1 || st.Pending() != 0 {
		t.Fatalf("%d pins after the commit, %d pending", n, st.Pending())
	}
}

// An entry of a snapshot that a peer of IPFS Cluster wrote, byte for byte.
func TestASnapshotHasTheFormatOfIPFSCluster(t *testing.T) {
	st := pinset.New(dial(t))
	ctx := context.Background()
	p := pin(t, "QmP63DkAFEnDYNjDYBpyNDfttu1fvUw99x1brscPzpqmmq")
	p.Name = "test"
	if err := st.Add(ctx, p); err != nil {
		t.Fatal(err)
	}
	var snapshot bytes.Buffer
	if err := st.Marshal(&snapshot); err != nil {
		t.Fatal(err)
	}
	// A map of two; "k" and the CID's bytes in base32 without padding; "v" and the protobuf form, both as raw strings.
	if got := hex.EncodeToString(snapshot.Bytes()); !strings.HasPrefix(got, "82a16bda0037"+hex.EncodeToString([]byte("CIQ"))) {
		t.Fatalf("the snapshot begins with %s", got)
	}
	into := pinset.New(dial(t))
	if err := into.Unmarshal(&snapshot); err != nil {
		t.Fatal(err)
	}
	back, err := into.Get(ctx, p.Cid)
	if err != nil || !back.Equals(p) {
		t.Fatalf("%+v, %v", back, err)
	}
	if err := into.Unmarshal(strings.NewReader("no snapshot")); err == nil {
		t.Fatal("what is no snapshot was taken")
	}
}
