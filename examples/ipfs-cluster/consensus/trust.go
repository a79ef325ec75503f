package consensus

import (
	"context"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/pstoremgr"
	host "github.com/libp2p/go-libp2p/core/host"
	peer "github.com/libp2p/go-libp2p/core/peer"
	peerstore "github.com/libp2p/go-libp2p/core/peerstore"
)

// keepTag marks connections to trusted peers, which are not closed to make room for others.
const keepTag = "holdfast-trusted"

// trust is who may use the RPC of trusted peers. It is asked for every call from another peer, so it answers from memory.
type trust struct {
	all   bool
	self  peer.ID
	host  host.Host
	peers sync.Map
	known *pstoremgr.Manager
}

func newTrust(ctx context.Context, h host.Host, cfg *Config) *trust {
	t := &trust{all: cfg.TrustAll, self: h.ID(), host: h, known: pstoremgr.New(ctx, h, "")}
	for _, id := range cfg.TrustedPeers {
		t.add(id)
	}
	return t
}

func (t *trust) has(id peer.ID) bool {
	if t.all || id == t.self {
		return true
	}
	_, there := t.peers.Load(id)
	return there
}

func (t *trust) add(id peer.ID) {
	t.peers.Store(id, struct{}{})
	if connections := t.host.ConnManager(); connections != nil {
		connections.Protect(id, keepTag)
	}
	if err := t.known.SetPriority(id, 0); err != nil {
		logger.Warnf("the trusted peer %s has no priority among the known ones: %s", id, err)
	}
	addresses := t.host.Peerstore().Addrs(id)
	t.host.Peerstore().SetAddrs(id, addresses, peerstore.PermanentAddrTTL)
}

func (t *trust) remove(id peer.ID) {
	t.peers.Delete(id)
	if connections := t.host.ConnManager(); connections != nil {
		connections.Unprotect(id, keepTag)
	}
}
