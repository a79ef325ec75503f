package main

import (
	"context"
	"fmt"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/allocator/balanced"
	"github.com/ipfs-cluster/ipfs-cluster/api/ipfsproxy"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/rest"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/pebble"
	"github.com/ipfs-cluster/ipfs-cluster/informer/disk"
	"github.com/ipfs-cluster/ipfs-cluster/informer/pinqueue"
	"github.com/ipfs-cluster/ipfs-cluster/informer/tags"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	"github.com/ipfs-cluster/ipfs-cluster/monitor/pubsubmon"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	ds "github.com/ipfs/go-datastore"
	logging "github.com/ipfs/go-log/v2"
	dual "github.com/libp2p/go-libp2p-kad-dht/dual"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	host "github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"

	"holdfast.invalid/examples/ipfs-cluster/consensus"
)

var logger = logging.Logger("service")

// waitForStore is how long a peer waits for a host of the store to answer: until somebody ends it. A peer that gave up would
// only be started again.
const waitForStore = 365 * 24 * time.Hour

// daemon runs a peer until it is told to end.
func daemon(ctx context.Context, s *settings, bootstraps []ma.Multiaddr) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ipfscluster.ReadyTimeout = waitForStore
	if !s.consensus.TrustAll {
		s.consensus.TrustedPeers = append(s.consensus.TrustedPeers, ipfscluster.PeersFromMultiaddrs(bootstraps)...)
	}
	store, err := pebble.New(s.datastore)
	if err != nil {
		return fmt.Errorf("the peer's datastore: %w", err)
	}
	host, pubsub, dht, err := ipfscluster.NewClusterHost(ctx, s.identity, s.cluster, store)
	if err != nil {
		return fmt.Errorf("the libp2p host: %w", err)
	}
	cluster, err := assemble(ctx, s, host, pubsub, dht, store)
	if err != nil {
		return err
	}
	go func() {
		for _, address := range bootstraps {
			if err := cluster.Join(ctx, address); err != nil {
				logger.Errorf("joining by %s: %s", address, err)
			}
		}
	}()
	return cmdutils.HandleSignals(ctx, cancel, cluster, host, dht, store)
}

// assemble makes a peer of its components.
func assemble(
	ctx context.Context, s *settings, host host.Host, pubsub *pubsub.PubSub, dht *dual.DHT, store ds.Datastore,
) (*ipfscluster.Cluster, error) {
	if err := observations.SetupMetrics(s.metrics); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	tracer, err := observations.SetupTracing(s.tracing)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	apis, err := s.apis(ctx)
	if err != nil {
		return nil, err
	}
	informers, err := s.informers()
	if err != nil {
		return nil, err
	}
	connector, err := ipfshttp.NewConnector(s.ipfs)
	if err != nil {
		return nil, fmt.Errorf("the connection to IPFS: %w", err)
	}
	allocator, err := balanced.New(s.allocator)
	if err != nil {
		return nil, fmt.Errorf("the allocator: %w", err)
	}
	cons, err := consensus.New(host, s.consensus, store)
	if err != nil {
		return nil, err
	}
	monitor, err := pubsubmon.New(ctx, s.monitor, pubsub, nil)
	if err != nil {
		return nil, fmt.Errorf("the monitor: %w", err)
	}
	tracker := stateless.New(s.tracker, host.ID(), s.cluster.Peername, cons.State)
	return ipfscluster.NewCluster(
		ctx, host, dht, s.cluster, store, cons, apis, connector, tracker, monitor, allocator, informers, tracer,
	)
}

// apis are those that stand in service.json.
func (s *settings) apis(ctx context.Context) ([]ipfscluster.API, error) {
	var apis []ipfscluster.API
	if s.has(config.API, s.rest) {
		api, err := rest.NewAPI(ctx, s.rest)
		if err != nil {
			return nil, fmt.Errorf("the REST API: %w", err)
		}
		apis = append(apis, api)
	}
	if s.has(config.API, s.pinsvc) {
		api, err := pinsvcapi.NewAPI(ctx, s.pinsvc)
		if err != nil {
			return nil, fmt.Errorf("the Pinning Service API: %w", err)
		}
		apis = append(apis, api)
	}
	if s.has(config.API, s.proxy) {
		api, err := ipfsproxy.New(s.proxy)
		if err != nil {
			return nil, fmt.Errorf("the IPFS proxy: %w", err)
		}
		apis = append(apis, api)
	}
	return apis, nil
}

// informers are those that stand in service.json.
func (s *settings) informers() ([]ipfscluster.Informer, error) {
	var informers []ipfscluster.Informer
	if s.has(config.Informer, s.disk) {
		informer, err := disk.NewInformer(s.disk)
		if err != nil {
			return nil, fmt.Errorf("the disk informer: %w", err)
		}
		informers = append(informers, informer)
	}
	if s.has(config.Informer, s.tags) {
		informer, err := tags.New(s.tags)
		if err != nil {
			return nil, fmt.Errorf("the tags informer: %w", err)
		}
		informers = append(informers, informer)
	}
	if s.has(config.Informer, s.pinqueue) {
		informer, err := pinqueue.New(s.pinqueue)
		if err != nil {
			return nil, fmt.Errorf("the pin queue informer: %w", err)
		}
		informers = append(informers, informer)
	}
	return informers, nil
}
