package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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

	"holdfast.invalid/examples/ipfs-cluster/consensus"
)

// settings are the sections of service.json, as IPFS Cluster has them, with "holdfast" in the place of "crdt" and "raft".
type settings struct {
	manager  *config.Manager
	identity *config.Identity

	cluster   *ipfscluster.Config
	rest      *rest.Config
	pinsvc    *pinsvcapi.Config
	proxy     *ipfsproxy.Config
	ipfs      *ipfshttp.Config
	consensus *consensus.Config
	tracker   *stateless.Config
	monitor   *pubsubmon.Config
	allocator *balanced.Config
	disk      *disk.Config
	tags      *tags.Config
	pinqueue  *pinqueue.Config
	metrics   *observations.MetricsConfig
	tracing   *observations.TracingConfig
	datastore *pebble.Config
}

func newSettings() *settings {
	s := &settings{
		manager: config.NewManager(), identity: &config.Identity{},
		cluster: &ipfscluster.Config{}, rest: rest.NewConfig(), pinsvc: pinsvcapi.NewConfig(),
		proxy: &ipfsproxy.Config{}, ipfs: &ipfshttp.Config{}, consensus: &consensus.Config{},
		tracker: &stateless.Config{}, monitor: &pubsubmon.Config{}, allocator: &balanced.Config{},
		disk: &disk.Config{}, tags: &tags.Config{}, pinqueue: &pinqueue.Config{},
		metrics: &observations.MetricsConfig{}, tracing: &observations.TracingConfig{},
		datastore: &pebble.Config{},
	}
	s.manager.RegisterComponent(config.Cluster, s.cluster)
	s.manager.RegisterComponent(config.API, s.rest)
	s.manager.RegisterComponent(config.API, s.pinsvc)
	s.manager.RegisterComponent(config.API, s.proxy)
	s.manager.RegisterComponent(config.IPFSConn, s.ipfs)
	s.manager.RegisterComponent(config.Consensus, s.consensus)
	s.manager.RegisterComponent(config.PinTracker, s.tracker)
	s.manager.RegisterComponent(config.Monitor, s.monitor)
	s.manager.RegisterComponent(config.Allocator, s.allocator)
	s.manager.RegisterComponent(config.Informer, s.disk)
	s.manager.RegisterComponent(config.Informer, s.tags)
	s.manager.RegisterComponent(config.Informer, s.pinqueue)
	s.manager.RegisterComponent(config.Observations, s.metrics)
	s.manager.RegisterComponent(config.Observations, s.tracing)
	s.manager.RegisterComponent(config.Datastore, s.datastore)
	return s
}

// initialize writes a configuration, and an identity if there is none.
func initialize(folder string, overwrite, randomPorts bool) error {
	file := filepath.Join(folder, configName)
	if _, err := os.Stat(file); err == nil && !overwrite {
		return fmt.Errorf("%s is there already; say --force to overwrite it", file)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	s := newSettings()
	defer s.manager.Shutdown()
	if err := errors.Join(s.manager.Default(), s.manager.ApplyEnvVars()); err != nil {
		return err
	}
	if randomPorts {
		if err := s.randomizePorts(); err != nil {
			return err
		}
	}
	if err := s.manager.SaveJSON(file); err != nil {
		return err
	}
	fmt.Println("configuration written to", file)
	return initializeIdentity(filepath.Join(folder, identityName))
}

func initializeIdentity(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	identity, err := config.NewIdentity()
	if err != nil {
		return err
	}
	if err := errors.Join(identity.ApplyEnvVars(), identity.SaveJSON(file)); err != nil {
		return err
	}
	fmt.Println("identity", identity.ID, "written to", file)
	return nil
}

func (s *settings) randomizePorts() error {
	var err error
	if s.cluster.ListenAddr, err = cmdutils.RandomizePorts(s.cluster.ListenAddr); err != nil {
		return err
	}
	if s.rest.HTTPListenAddr, err = cmdutils.RandomizePorts(s.rest.HTTPListenAddr); err != nil {
		return err
	}
	if s.pinsvc.HTTPListenAddr, err = cmdutils.RandomizePorts(s.pinsvc.HTTPListenAddr); err != nil {
		return err
	}
	s.proxy.ListenAddr, err = cmdutils.RandomizePorts(s.proxy.ListenAddr)
	return err
}

// load reads what a folder has and what the environment overrules.
func load(folder string) (*settings, error) {
	s := newSettings()
	file := filepath.Join(folder, configName)
	if err := s.manager.LoadJSONFileAndEnv(file); err != nil {
		return nil, fmt.Errorf("%s: %w; write a fresh one with: ipfs-cluster-service init", file, err)
	}
	if err := s.identity.LoadJSONFromFile(filepath.Join(folder, identityName)); err != nil {
		return nil, fmt.Errorf("the identity: %w", err)
	}
	if err := s.identity.ApplyEnvVars(); err != nil {
		return nil, fmt.Errorf("the identity: %w", err)
	}
	return s, nil
}

// has says whether a section stands in service.json.
func (s *settings) has(kind config.SectionType, section config.ComponentConfig) bool {
	return s.manager.IsLoadedFromJSON(kind, section.ConfigKey())
}
