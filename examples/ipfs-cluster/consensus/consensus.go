// Package consensus lets an IPFS Cluster peer keep the cluster's pin set in Holdfast. Nothing is agreed upon among the peers:
// the store is the one truth, each write is durable when it is answered, and each peer follows the store's change feed to tell its
// own tracker what to pin and unpin.
package consensus

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	ds "github.com/ipfs/go-datastore"
	logging "github.com/ipfs/go-log/v2"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	host "github.com/libp2p/go-libp2p/core/host"
	peer "github.com/libp2p/go-libp2p/core/peer"

	"holdfast.invalid/examples/ipfs-cluster/client"
	"holdfast.invalid/examples/ipfs-cluster/pinset"
)

var logger = logging.Logger("holdfast")

// What the component cannot do, because of what it is.
var (
	// ErrNoLeader: no peer leads.
	ErrNoLeader = errors.New("holdfast: no peer leads, the store decides")
	// ErrRmPeer: a peer leaves by stopping.
	ErrRmPeer = errors.New("holdfast: peers are not removed; stop the peer and revoke its key")
	// ErrQueueFull: more writes wait than may.
	ErrQueueFull = errors.New("holdfast: too many writes wait to be batched")
	// ErrShutdown: the component has been shut down.
	ErrShutdown = errors.New("holdfast: shut down")
)

// firstPause and lastPause bound how often a host that is not there yet is asked at the start.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Consensus implements ipfscluster.Consensus.
type Consensus struct {
	ctx    context.Context
	cancel context.CancelFunc
	config *Config
	host   host.Host
	store  ds.Datastore
	client *client.Client
	state  *pinset.PinSet
	batch  *batcher
	trust  *trust

	rpc      *rpc.Client
	rpcReady chan struct{}
	rpcOnce  sync.Once
	ready    chan struct{}
	usable   chan struct{}
	running  sync.WaitGroup
	shutdown sync.Once
}

// New makes the component. The datastore keeps what this peer has come to in the feed; it is the peer's own and small.
func New(h host.Host, cfg *Config, store ds.Datastore) (*Consensus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	key, err := cfg.key()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{Hosts: cfg.Hosts, Key: key})
	if err != nil {
		return nil, fmt.Errorf("the section %s: %w", configKey, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	consensus := &Consensus{
		ctx: ctx, cancel: cancel, config: cfg, host: h, store: store, client: c,
		state: pinset.New(c), trust: newTrust(ctx, h, cfg),
		rpcReady: make(chan struct{}), ready: make(chan struct{}, 1), usable: make(chan struct{}),
	}
	if cfg.Batching.On() {
		consensus.batch = newBatcher(c, cfg.Batching)
	}
	consensus.running.Add(1)
	go consensus.run()
	return consensus, nil
}

// run waits for what the component needs, says that it is ready, and follows the feed for as long as it lives.
func (c *Consensus) run() {
	defer c.running.Done()
	select {
	case <-c.ctx.Done():
		return
	case <-c.rpcReady:
	}
	if err := c.waitForHost(); err != nil {
		return
	}
	close(c.usable)
	c.ready <- struct{}{}
	follower := follower{
		self: c.host.ID(), client: c.client, rpc: c.rpc, memory: memory{store: c.store},
	}
	if err := follower.run(c.ctx); err != nil && c.ctx.Err() == nil {
		logger.Errorf("this peer no longer follows the pin set: %s", err)
	}
}

func (c *Consensus) waitForHost() error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		_, err := c.client.Head(c.ctx)
		if err == nil || c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		logger.Errorf("the pin set cannot be reached, trying again: %s", err)
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(pause):
		}
	}
}

// SetClient gives the component the RPC by which it reaches the tracker and the monitor of its own peer.
func (c *Consensus) SetClient(rpcClient *rpc.Client) {
	c.rpcOnce.Do(func() {
		c.rpc = rpcClient
		close(c.rpcReady)
	})
}

// Ready is signalled once, when a host has answered. What the feed has for this peer comes in afterwards.
func (c *Consensus) Ready(context.Context) <-chan struct{} { return c.ready }

// Shutdown writes what waits to be batched and ends. Doing it again changes nothing.
func (c *Consensus) Shutdown(context.Context) error {
	c.shutdown.Do(func() {
		logger.Info("stopping the consensus component")
		if c.batch != nil {
			c.batch.close()
		}
		c.cancel()
		c.running.Wait()
		c.client.Close()
	})
	return nil
}

// LogPin writes a pin. Without batching it is durable when this returns.
func (c *Consensus) LogPin(ctx context.Context, pin api.Pin) error {
	if c.ctx.Err() != nil {
		return ErrShutdown
	}
	if c.batch != nil {
		return c.batch.put(pin)
	}
	return c.state.Add(ctx, pin)
}

// LogUnpin removes a pin, as LogPin writes one.
func (c *Consensus) LogUnpin(ctx context.Context, pin api.Pin) error {
	if c.ctx.Err() != nil {
		return ErrShutdown
	}
	if c.batch != nil {
		return c.batch.remove(pin.Cid)
	}
	return c.state.Rm(ctx, pin.Cid)
}

// State is the pin set, which is a state.State too. It waits until a host has answered.
func (c *Consensus) State(ctx context.Context) (state.ReadOnly, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.ctx.Done():
		return nil, ErrShutdown
	case <-c.usable:
		return c.state, nil
	}
}

// Peers are those whose metric is fresh, and this one.
func (c *Consensus) Peers(ctx context.Context) ([]peer.ID, error) {
	select {
	case <-c.rpcReady:
	default:
		return nil, errors.New("holdfast: the peer has no RPC yet")
	}
	var metrics []api.Metric
	err := c.rpc.CallContext(ctx, "", "PeerMonitor", "LatestMetrics", c.config.PeersetMetric, &metrics)
	if err != nil {
		return nil, err
	}
	self := c.host.ID()
	peers := []peer.ID{self}
	for _, metric := range metrics {
		if metric.Peer != self {
			peers = append(peers, metric.Peer)
		}
	}
	sort.Sort(peer.IDSlice(peers))
	return peers, nil
}

// WaitForSync has nothing to wait for: reads are of the store itself.
func (c *Consensus) WaitForSync(context.Context) error { return nil }

// AddPeer has nothing to do: a peer with a key takes part.
func (c *Consensus) AddPeer(context.Context, peer.ID) error { return nil }

// RmPeer always fails: there is no list of peers to take it from.
func (c *Consensus) RmPeer(context.Context, peer.ID) error { return ErrRmPeer }

// Leader always fails: nobody leads.
func (c *Consensus) Leader(context.Context) (peer.ID, error) { return "", ErrNoLeader }

// Clean forgets what this peer has come to in the feed; its next start goes through the whole pin set. The pin set is not this
// peer's to clean: it stays as it is.
func (c *Consensus) Clean(ctx context.Context) error { return Clean(ctx, c.store) }

// Clean does the same for a peer that does not run.
func Clean(ctx context.Context, store ds.Datastore) error {
	memory := memory{store: store}
	return memory.clear(ctx)
}

// IsTrustedPeer says whether a peer may use the RPC of trusted peers.
func (c *Consensus) IsTrustedPeer(_ context.Context, id peer.ID) bool { return c.trust.has(id) }

// Trust lets a peer use the RPC of trusted peers.
func (c *Consensus) Trust(_ context.Context, id peer.ID) error { c.trust.add(id); return nil }

// Distrust takes that back.
func (c *Consensus) Distrust(_ context.Context, id peer.ID) error { c.trust.remove(id); return nil }
