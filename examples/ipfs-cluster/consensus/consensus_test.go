package consensus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	dssync "github.com/ipfs/go-datastore/sync"
	libp2p "github.com/libp2p/go-libp2p"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	peer "github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"

	"holdfast.invalid/examples/ipfs-cluster/client"
	"holdfast.invalid/examples/ipfs-cluster/internal/fakehost"
)

// soon is a deadline for what happens at once on an idle machine.
const soon = 20 * time.Second

// tracker is a peer's tracker as the component sees it.
type tracker struct {
	mu      sync.Mutex
	changed *sync.Cond
	told    []string
	// refusals is how many calls to Untrack are refused first.
	refusals int
}

func (t *tracker) Track(_ context.Context, pin api.Pin, _ *struct{}) error {
	t.note("track " + pin.Name)
	return nil
}

func (t *tracker) Untrack(_ context.Context, pin api.Pin, _ *struct{}) error {
	t.mu.Lock()
	refused := t.refusals > 0
	if refused {
		t.refusals--
	}
	t.mu.Unlock()
	if refused {
		return errors.New("the queue is full")
	}
	t.note("untrack " + pin.Cid.String())
	return nil
}

func (t *tracker) note(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, what)
	t.changed.Broadcast()
}

// wait waits until the tracker was told something, and answers how often.
func (t *tracker) wait(tb testing.TB, what string) {
	tb.Helper()
	late := time.AfterFunc(soon, func() { t.note("late") })
	defer late.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		for _, told := range t.told {
			switch told {
			case what:
				return
			case "late":
				tb.Fatalf("the tracker was never told %q but %q", what, t.told)
			}
		}
		t.changed.Wait()
	}
}

func (t *tracker) count(what string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	times := 0
	for _, told := range t.told {
		if told == what {
			times++
		}
	}
	return times
}

// bench is a component with what is around it.
type bench struct {
	*Consensus
	tracker *tracker
	store   ds.Datastore
}

func newTracker() *tracker {
	t := &tracker{}
	t.changed = sync.NewCond(&t.mu)
	return t
}

func begin(t *testing.T, hosts []string, store ds.Datastore, change func(*Config)) *bench {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &Config{}
	cfg.Default()
	cfg.Hosts, cfg.Key = hosts, "key"
	if change != nil {
		change(cfg)
	}
	component, err := New(h, cfg, store)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Consensus: component, tracker: newTracker(), store: store}
	server := rpc.NewServer(nil, "test")
	if err := server.RegisterName("PinTracker", b.tracker); err != nil {
		t.Fatal(err)
	}
	component.SetClient(rpc.NewClientWithServer(nil, "test", server))
	t.Cleanup(func() { component.Shutdown(context.Background()); h.Close() })
	select {
	case <-component.Ready(context.Background()):
	case <-time.After(soon):
		t.Fatal("the component is not ready")
	}
	return b
}

func serve(t *testing.T, store *fakehost.Store) *fakehost.Host {
	t.Helper()
	host := fakehost.Start(store)
	t.Cleanup(func() { host.CloseClientConnections(); store.Wake(); host.Close() })
	return host
}

func memoryStore() ds.Datastore { return dssync.MutexWrap(ds.NewMapDatastore()) }

func somePin(t testing.TB, number int) api.Pin {
	t.Helper()
	sum, err := multihash.Sum(fmt.Appendf(nil, "pin %d", number), multihash.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	pin := api.PinCid(api.NewCid(cid.NewCidV1(cid.Raw, sum)))
	pin.Name = fmt.Sprint("pin ", number)
	pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
	return pin
}

func dial(t *testing.T, host string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Hosts: []string{host}, Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheTrackerIsToldOfWhatAnotherPeerPins(t *testing.T) {
	store := fakehost.NewStore()
	host := serve(t, store)
	b := begin(t, []string{host.URL}, memoryStore(), nil)
	other := begin(t, []string{host.URL}, memoryStore(), nil)
	ctx := context.Background()
	pin := somePin(t, 1)
	if err := other.LogPin(ctx, pin); err != nil {
		t.Fatal(err)
	}
	b.tracker.wait(t, "track pin 1")
	if err := other.LogUnpin(ctx, pin); err != nil {
		t.Fatal(err)
	}
	b.tracker.wait(t, "untrack "+pin.Cid.String())
}

func TestTheStateCanAlsoBeWritten(t *testing.T) {
	b := begin(t, []string{serve(t, fakehost.NewStore()).URL}, memoryStore(), nil)
	read, err := b.State(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := read.(state.State); !ok {
		t.Fatalf("%T is no state.State", read)
	}
	if _, err := read.Get(context.Background(), somePin(t, 1).Cid); err != state.ErrNotFound {
		t.Fatalf("a pin that is not there answers %v, and callers compare", err)
	}
}

// A peer that comes back goes on where it was: it is told what happened meanwhile and not all the rest.
func TestAPeerGoesOnWhereItWas(t *testing.T) {
	store := fakehost.NewStore()
	host := serve(t, store)
	own := memoryStore()
	ctx := context.Background()
	first := begin(t, []string{host.URL}, own, nil)
	old, next := somePin(t, 1), somePin(t, 2)
	if err := first.LogPin(ctx, old); err != nil {
		t.Fatal(err)
	}
	first.tracker.wait(t, "track pin 1")
	first.Shutdown(ctx)
	c := dial(t, host.URL)
	if _, err := c.Put(ctx, next, client.Condition{}); err != nil {
		t.Fatal(err)
	}
	second := begin(t, []string{host.URL}, own, nil)
	second.tracker.wait(t, "track pin 2")
	if second.tracker.count("track pin 1") != 0 {
		t.Fatal("what was known already was told again")
	}
}

// A peer that was away for longer than the feed goes back learns of what came and of what went.
func TestAPeerThatWasAwayForTooLongWalksThroughThePinSet(t *testing.T) {
	store := fakehost.NewStore()
	host := serve(t, store)
	own := memoryStore()
	ctx := context.Background()
	first := begin(t, []string{host.URL}, own, nil)
	stays, goes, comes := somePin(t, 1), somePin(t, 2), somePin(t, 3)
	for _, pin := range []api.Pin{stays, goes} {
		if err := first.LogPin(ctx, pin); err != nil {
			t.Fatal(err)
		}
	}
	first.tracker.wait(t, "track pin 1")
	first.tracker.wait(t, "track pin 2")
	first.Shutdown(ctx)
	c := dial(t, host.URL)
	if err := c.Delete(ctx, goes.Cid, client.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(ctx, comes, client.Condition{}); err != nil {
		t.Fatal(err)
	}
	store.Trim()
	second := begin(t, []string{host.URL}, own, nil)
	second.tracker.wait(t, "track pin 3")
	second.tracker.wait(t, "untrack "+goes.Cid.String())
	if second.tracker.count("track pin 1") != 0 {
		t.Fatal("a pin that has not changed was told again")
	}
}

// forgetful is a datastore of which a killed process leaves what was synced, and no more: so is Pebble.
type forgetful struct {
	ds.Datastore
	mu     sync.Mutex
	synced map[ds.Key][]byte
}

func (f *forgetful) Sync(ctx context.Context, _ ds.Key) error {
	rows, err := f.Query(ctx, query.Query{})
	if err != nil {
		return err
	}
	entries, err := rows.Rest()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = map[ds.Key][]byte{}
	for _, entry := range entries {
		f.synced[ds.NewKey(entry.Key)] = entry.Value
	}
	return nil
}

// killed is what is left of it.
func (f *forgetful) killed(t *testing.T) *forgetful {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	left := &forgetful{Datastore: memoryStore()}
	for name, value := range f.synced {
		if err := left.Put(context.Background(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	return left
}

// What the tracker of a killed peer was told to keep is unpinned if it went meanwhile: whether the peer had heard of it by its
// first walk through the pin set or by the feed, and also after the feed was trimmed.
func TestAPeerThatWasKilledLearnsOfRemovals(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		store := fakehost.NewStore()
		host := serve(t, store)
		ctx := context.Background()
		c := dial(t, host.URL)
		walked, fed := somePin(t, 1), somePin(t, 2)
		if _, err := c.Put(ctx, walked, client.Condition{}); err != nil {
			t.Fatal(err)
		}
		own := &forgetful{Datastore: memoryStore()}
		first := begin(t, []string{host.URL}, own, nil)
		first.tracker.wait(t, "track pin 1")
		// What is left if it is killed now, in the middle of its first walk.
		early := own.killed(t)
		if _, err := c.Put(ctx, fed, client.Condition{}); err != nil {
			t.Fatal(err)
		}
		first.tracker.wait(t, "track pin 2")
		late := own.killed(t)
		first.Shutdown(ctx)
		for _, pin := range []api.Pin{walked, fed} {
			if err := c.Delete(ctx, pin.Cid, client.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		if trimmed {
			store.Trim()
		}
		begin(t, []string{host.URL}, early, nil).tracker.wait(t, "untrack "+walked.Cid.String())
		second := begin(t, []string{host.URL}, late, nil)
		second.tracker.wait(t, "untrack "+walked.Cid.String())
		if !trimmed {
			second.tracker.wait(t, "untrack "+fed.Cid.String())
		}
	}
}

func TestARemovalIsToldUntilTheTrackerTakesIt(t *testing.T) {
	store := fakehost.NewStore()
	b := begin(t, []string{serve(t, store).URL}, memoryStore(), nil)
	ctx := context.Background()
	pin := somePin(t, 1)
	if err := b.LogPin(ctx, pin); err != nil {
		t.Fatal(err)
	}
	b.tracker.wait(t, "track pin 1")
	b.tracker.mu.Lock()
	b.tracker.refusals = 2
	b.tracker.mu.Unlock()
	if err := b.LogUnpin(ctx, pin); err != nil {
		t.Fatal(err)
	}
	b.tracker.wait(t, "untrack "+pin.Cid.String())
}

func TestABatchIsWrittenWhenThePeerEnds(t *testing.T) {
	store := fakehost.NewStore()
	host := serve(t, store)
	b := begin(t, []string{host.URL}, memoryStore(), func(c *Config) {
		c.Batching = Batching{MaxBatchSize: 100, MaxBatchAge: time.Hour, MaxQueueSize: 2}
	})
	ctx := context.Background()
	for i := range 2 {
		if err := b.LogPin(ctx, somePin(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.LogPin(ctx, somePin(t, 3)); !errors.Is(err, ErrQueueFull) {
		t.Fatalf("a third write in a queue of two: %v", err)
	}
	c := dial(t, host.URL)
	if there, err := c.Has(ctx, somePin(t, 0).Cid); there || err != nil {
		t.Fatalf("before the batch is due: %v, %v", there, err)
	}
	b.Shutdown(ctx)
	for i := range 2 {
		if there, err := c.Has(ctx, somePin(t, i).Cid); !there || err != nil {
			t.Fatalf("pin %d after the end: %v, %v", i, there, err)
		}
	}
	if err := b.LogPin(ctx, somePin(t, 4)); !errors.Is(err, ErrShutdown) {
		t.Fatalf("after the end: %v", err)
	}
}

func TestOnlyTrustedPeersAreTrusted(t *testing.T) {
	someone, err := peer.Decode("12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M")
	if err != nil {
		t.Fatal(err)
	}
	b := begin(t, []string{serve(t, fakehost.NewStore()).URL}, memoryStore(), func(c *Config) { c.TrustAll = false })
	ctx := context.Background()
	if b.IsTrustedPeer(ctx, someone) {
		t.Fatal("a stranger is trusted")
	}
	b.Trust(ctx, someone)
	if !b.IsTrustedPeer(ctx, someone) {
		t.Fatal("a trusted peer is not trusted")
	}
	b.Distrust(ctx, someone)
	if b.IsTrustedPeer(ctx, someone) || !b.IsTrustedPeer(ctx, b.host.ID()) {
		t.Fatal("trust is not taken back, or the peer does not trust itself")
	}
}

func TestTheConfigurationIsReadAndHidesItsKey(t *testing.T) {
	cfg := &Config{}
	err := cfg.LoadJSON([]byte(`{"hosts": ["http://a:1", "http://b:2"], "key": "secret-key", "trusted_peers": ["*"],
		"batching": {"max_batch_size": 10, "max_batch_age": "2s"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Hosts) != 2 || !cfg.TrustAll || !cfg.Batching.On() || cfg.Batching.MaxBatchAge != 2*time.Second {
		t.Fatalf("%+v", cfg)
	}
	shown, err := cfg.ToDisplayJSON()
	if err != nil || len(shown) == 0 || bytes.Contains(shown, []byte("secret-key")) {
		t.Fatalf("%s, %v", shown, err)
	}
	t.Setenv("CLUSTER_HOLDFAST_HOSTS", "http://c:3")
	t.Setenv("CLUSTER_HOLDFAST_KEY", "another")
	if err := cfg.ApplyEnvVars(); err != nil || cfg.Hosts[0] != "http://c:3" || cfg.Key != "another" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	for _, bad := range []string{`{"hosts": []}`, `{"hosts": ["http://a:1"], "key": "k", "key_file": "f"}`,
		`{"hosts": ["http://a:1"], "trusted_peers": ["nobody"]}`, `{`} {
		if err := (&Config{}).LoadJSON([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
