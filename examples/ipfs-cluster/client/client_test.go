package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"holdfast.invalid/examples/ipfs-cluster/client"
	"holdfast.invalid/examples/ipfs-cluster/internal/fakehost"
)

func pin(t testing.TB, number int) api.Pin {
	t.Helper()
	sum, err := multihash.Sum(fmt.Appendf(nil, "pin %d", number), multihash.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	p := api.PinCid(api.NewCid(cid.NewCidV1(cid.Raw, sum)))
	p.Name = fmt.Sprint("pin ", number)
	return p
}

func start(t testing.TB, store *fakehost.Store) *fakehost.Host {
	t.Helper()
	host := fakehost.Start(store)
	t.Cleanup(func() { store.Wake(); host.CloseClientConnections(); store.Wake(); host.Close() })
	return host
}

func dial(t testing.TB, hosts ...string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Hosts: hosts, Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAPinComesBackAsItWasPut(t *testing.T) {
	c := dial(t, start(t, fakehost.NewStore()).URL)
	ctx := context.Background()
	put := pin(t, 1)
	version, err := c.Put(ctx, put, client.IfAbsent())
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Get(ctx, put.Cid)
	if err != nil || !got.Equals(put) || got.Version != version {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := c.Put(ctx, put, client.IfAbsent()); !errors.Is(err, client.ErrVersionChanged) {
		t.Fatalf("a second IfAbsent answered %v", err)
	}
	if err := c.Delete(ctx, put.Cid, client.IfVersion(version)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, put.Cid); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("what was deleted answered %v", err)
	}
	if there, err := c.Has(ctx, put.Cid); there || err != nil {
		t.Fatalf("Has: %v, %v", there, err)
	}
}

func TestTheNextHostIsAskedWhenOneDoesNotAnswer(t *testing.T) {
	store := fakehost.NewStore()
	dead := start(t, store)
	dead.Close()
	busy := start(t, store)
	busy.Fail(func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		fakehost.Problem(w, http.StatusServiceUnavailable, "UNAVAILABLE", "")
		return true
	})
	c := dial(t, dead.URL, busy.URL, start(t, store).URL)
	if _, err := c.Put(context.Background(), pin(t, 1), client.Condition{}); err != nil {
		t.Fatal(err)
	}
}

// A hundred calls one after another go over one connection, whatever they are answered: an answer that is not read to its end
// would cost its connection.
func TestCallsShareAConnection(t *testing.T) {
	host := start(t, fakehost.NewStore())
	c := dial(t, host.URL)
	ctx := context.Background()
	for n := range 20 {
		put := pin(t, n)
		if _, err := c.Put(ctx, put, client.IfAbsent()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Put(ctx, put, client.IfAbsent()); !errors.Is(err, client.ErrVersionChanged) {
			t.Fatal(err)
		}
		if _, err := c.Get(ctx, put.Cid); err != nil {
			t.Fatal(err)
		}
		if there, err := c.Has(ctx, put.Cid); !there || err != nil {
			t.Fatal(there, err)
		}
		if _, err := c.Get(ctx, pin(t, 1000+n).Cid); !errors.Is(err, client.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if opened := host.Connections(); opened != 1 {
		t.Fatalf("100 calls opened %d connections", opened)
	}
}

func TestARefusalIsNotRepeated(t *testing.T) {
	host := start(t, fakehost.NewStore())
	var calls atomic.Int32
	host.Fail(func(http.ResponseWriter, *http.Request, func()) bool { calls.Add(1); return false })
	c, err := client.New(client.Options{Hosts: []string{host.URL}, Key: "another"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Get(context.Background(), pin(t, 1).Cid)
	if err == nil || !strings.Contains(err.Error(), "401") || calls.Load() != 1 {
		t.Fatalf("%d calls, %v", calls.Load(), err)
	}
}

// A host that takes a change and is gone before it can say so: the change has happened once, and is answered as such.
func TestAConditionalWriteWhoseAnswerWasLostIsNotAConflict(t *testing.T) {
	host := start(t, fakehost.NewStore())
	var lost atomic.Bool
	host.Fail(func(w http.ResponseWriter, r *http.Request, serve func()) bool {
		if r.Method != http.MethodPut || lost.Swap(true) {
			return false
		}
		serve()
		panic(http.ErrAbortHandler)
	})
	c := dial(t, host.URL)
	if _, err := c.Put(context.Background(), pin(t, 1), client.IfAbsent()); err != nil {
		t.Fatal(err)
	}
	if !lost.Load() {
		t.Fatal("the answer was not lost")
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	host := start(t, fakehost.NewStore())
	host.Fail(func(w http.ResponseWriter, _ *http.Request, _ func()) bool {
		fakehost.Problem(w, http.StatusServiceUnavailable, "UNAVAILABLE", "")
		return true
	})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := dial(t, host.URL).Get(ctx, pin(t, 1).Cid)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// Many calls at once, most of which go together, mean what each would mean by itself.
func TestManyCallsAtOnceAreEachAnsweredTheirOwn(t *testing.T) {
	host := start(t, fakehost.NewStore())
	var requests atomic.Int32
	host.Fail(func(http.ResponseWriter, *http.Request, func()) bool { requests.Add(1); return false })
	c := dial(t, host.URL)
	ctx := context.Background()
	const pins, calls = 50, 400
	if _, err := c.Put(ctx, pin(t, 0), client.Condition{}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var made atomic.Int32
	for n := range calls {
		all.Go(func() {
			switch number := n % pins; {
			case n < calls/2:
				// Of all that put a pin if there is none, one does.
				_, err := c.Put(ctx, pin(t, number), client.IfAbsent())
				if err == nil {
					made.Add(1)
				} else if !errors.Is(err, client.ErrVersionChanged) {
					t.Error(err)
				}
			default:
				got, err := c.Get(ctx, pin(t, number).Cid)
				if err == nil && got.Name != pin(t, number).Name {
					t.Errorf("%d came back as %s", number, got.Name)
				} else if err != nil && !errors.Is(err, client.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if made.Load() != pins-1 {
		t.Errorf("%d pins were made", made.Load())
	}
	for n := range pins {
		got, err := c.Get(ctx, pin(t, n).Cid)
		if err != nil || !got.Equals(pin(t, n)) || got.Version == 0 {
			t.Errorf("%d: %+v, %v", n, got, err)
		}
	}
	t.Logf("%d calls went in %d requests", calls+pins+1, requests.Load())
}

// One that a host refuses does no harm to those that went with it.
func TestAPinThatCannotBeWrittenIsAnErrorOfItsOwn(t *testing.T) {
	c := dial(t, start(t, fakehost.NewStore()).URL)
	ctx := context.Background()
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			put, isBad := pin(t, n), n%10 == 7
			if isBad {
				put.Name = "\xff is no text"
			}
			if _, err := c.Put(ctx, put, client.Condition{}); (err != nil) != isBad {
				t.Errorf("%d: %v", n, err)
			}
		})
	}
	all.Wait()
}

func TestABatchWhoseAnswerWasLostIsNoConflict(t *testing.T) {
	host := start(t, fakehost.NewStore())
	var lost atomic.Bool
	host.Fail(func(w http.ResponseWriter, r *http.Request, serve func()) bool {
		if r.Method != http.MethodPost || lost.Swap(true) {
			return false
		}
		serve()
		panic(http.ErrAbortHandler)
	})
	changes := []client.Change{{Pin: pin(t, 1), When: client.IfAbsent()}, {Pin: pin(t, 2), When: client.IfAbsent()}}
	failures, err := dial(t, host.URL).Batch(context.Background(), changes)
	if err != nil || len(failures) > 0 || !lost.Load() {
		t.Fatalf("%v, %v", failures, err)
	}
}

func TestABatchNamesWhatFailed(t *testing.T) {
	c := dial(t, start(t, fakehost.NewStore()).URL)
	ctx := context.Background()
	if _, err := c.Put(ctx, pin(t, 2), client.Condition{}); err != nil {
		t.Fatal(err)
	}
	failures, err := c.Batch(ctx, []client.Change{
		{Pin: pin(t, 1)},
		{Pin: pin(t, 2), When: client.IfAbsent()},
		{Pin: pin(t, 3), Delete: true},
	})
	if err != nil || len(failures) != 1 {
		t.Fatalf("%v, %v", failures, err)
	}
	if f := failures[0]; !f.Change.Pin.Cid.Equals(pin(t, 2).Cid) || !errors.Is(f.Err, client.ErrVersionChanged) {
		t.Fatalf("%+v", f)
	}
	if there, err := c.Has(ctx, pin(t, 1).Cid); !there || err != nil {
		t.Fatalf("the other pin: %v, %v", there, err)
	}
	twice := []client.Change{{Pin: pin(t, 1)}, {Pin: pin(t, 1), Delete: true}}
	if _, err := c.Batch(ctx, twice); err == nil {
		t.Fatal("a CID that comes twice was taken")
	}
}

func TestAListGoesOnWhereItBrokeOff(t *testing.T) {
	store := fakehost.NewStore()
	first, second := start(t, store), start(t, store)
	c := dial(t, first.URL, second.URL)
	ctx := context.Background()
	for i := range 20 {
		if _, err := c.Put(ctx, pin(t, i), client.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	first.BreakListAfter(7)
	second.BreakListAfter(5)
	seen := map[api.Cid]int{}
	head, err := c.List(ctx, func(p client.Versioned) error { seen[p.Cid]++; return nil })
	if err != nil || head != 20 || len(seen) != 20 {
		t.Fatalf("head %d, %d pins, %v", head, len(seen), err)
	}
	for cid, times := range seen {
		if times != 1 {
			t.Errorf("%s was given %d times", cid, times)
		}
	}
}

func TestAnErrorOfTheReaderEndsTheList(t *testing.T) {
	c := dial(t, start(t, fakehost.NewStore()).URL)
	if _, err := c.Put(context.Background(), pin(t, 1), client.Condition{}); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	_, err := c.List(context.Background(), func(client.Versioned) error { return enough })
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
}

func TestTheFeedGoesOnOverHosts(t *testing.T) {
	store := fakehost.NewStore()
	first, second := start(t, store), start(t, store)
	c := dial(t, first.URL, second.URL)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := c.Put(ctx, pin(t, 1), client.Condition{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	done := errors.New("all seen")
	err := c.Follow(ctx, 0, func(event client.Event) error {
		switch {
		case event.Pin != nil:
			got = append(got, event.Pin.Name)
		case event.Cid.Defined():
			got = append(got, "gone")
		}
		switch len(got) {
		case 1:
			// The host that serves the feed goes away; what comes next is of the other.
			go func() { first.CloseClientConnections(); first.Listener.Close() }()
			_, err := dial(t, second.URL).Put(ctx, pin(t, 2), client.Condition{})
			return err
		case 2:
			return dial(t, second.URL).Delete(ctx, pin(t, 2).Cid, client.Condition{})
		case 3:
			return done
		}
		return nil
	})
	if !errors.Is(err, done) || strings.Join(got, ", ") != "pin 1, pin 2, gone" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestACursorThatIsNoneIsToldApart(t *testing.T) {
	store := fakehost.NewStore()
	c := dial(t, start(t, store).URL)
	ctx := context.Background()
	for i := range 3 {
		if _, err := c.Put(ctx, pin(t, i), client.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	store.Trim()
	ignore := func(client.Event) error { return nil }
	if err := c.Follow(ctx, 1, ignore); !errors.Is(err, client.ErrCursorTooOld) {
		t.Errorf("an old cursor: %v", err)
	}
	if err := c.Follow(ctx, 99, ignore); !errors.Is(err, client.ErrCursorInFuture) {
		t.Errorf("a cursor of the future: %v", err)
	}
	if head, err := c.Head(ctx); head != 3 || err != nil {
		t.Errorf("head: %d, %v", head, err)
	}
}

func TestOptionsThatCannotBeAreNamed(t *testing.T) {
	for text, options := range map[string]client.Options{
		"no hosts":      {Key: "key"},
		"no key":        {Hosts: []string{"http://127.0.0.1:1"}},
		"is no address": {Hosts: []string{"127.0.0.1:8420"}, Key: "key"},
	} {
		if _, err := client.New(options); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
}
