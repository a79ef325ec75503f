// Package client speaks the State API of Holdfast (/v1/state): the pins of a cluster, read, written, listed and followed over
// HTTP. It knows several hosts of one store and goes on at the next when one does not answer.
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Bounds of one call. A host answers within 30 seconds or not at all, so an attempt that takes longer has failed.
const (
	defaultAttempts = 8
	attemptTimeout  = 35 * time.Second
	dialTimeout     = 5 * time.Second
	// Connections kept for the next calls: a peer pins with tens of workers.
	idleConnections = 64
)

// Options say where the hosts are and who calls.
type Options struct {
	// Hosts are base URLs of one store's hosts, for example http://127.0.0.1:8420. The first that answers serves all calls until
	// it no longer does.
	Hosts []string
	// Key is an API key with the role cluster-node.
	Key string
	// Attempts of one call at most, over all hosts; 0 means 8, which with the pauses between them is about five seconds.
	Attempts int
	// Transport is for tests and for certificates of one's own; nil means one that keeps connections.
	Transport http.RoundTripper
}

// Client is safe for use by many goroutines.
type Client struct {
	// hosts are base URLs that no slash ends.
	hosts    []string
	current  atomic.Uint32
	key      string
	attempts int
	http     *http.Client
	reads    joiner[api.Cid, Versioned]
	writes   joiner[Change, uint64]
}

// New checks the options. It does not call any host.
func New(o Options) (*Client, error) {
	if len(o.Hosts) == 0 {
		return nil, errors.New("no hosts are given; name at least one, such as http://127.0.0.1:8420")
	}
	if o.Key == "" {
		return nil, errors.New("no key is given; make one with: holdfast key create --role cluster-node")
	}
	c := &Client{key: o.Key, attempts: o.Attempts, http: &http.Client{Transport: o.Transport}}
	if c.attempts <= 0 {
		c.attempts = defaultAttempts
	}
	if o.Transport == nil {
		c.http.Transport = newTransport()
	}
	c.reads = joiner[api.Cid, Versioned]{alone: c.read, together: c.readSeveral, most: readMax}
	c.writes = joiner[Change, uint64]{alone: c.write, together: c.writeSeveral, most: batchEntries, key: cidOf}
	// A key must not follow a redirect to somebody else.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, host := range o.Hosts {
		base, err := parseHost(host)
		if err != nil {
			return nil, err
		}
		c.hosts = append(c.hosts, base)
	}
	return c, nil
}

// Close lets go of connections that are kept for later.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseHost(text string) (string, error) {
	base, err := url.Parse(strings.TrimSpace(text))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return "", fmt.Errorf("host %q is no address; write it like http://127.0.0.1:8420", text)
	}
	base.RawQuery, base.Fragment = "", ""
	return strings.TrimRight(base.String(), "/"), nil
}

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns:        idleConnections,
		MaxIdleConnsPerHost: idleConnections,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// serving is the number of the host that serves now.
func (c *Client) serving() uint32 { return c.current.Load() }

// passOver goes on to the next host, if nobody else has done so since `from` was seen failing.
func (c *Client) passOver(from uint32) {
	c.current.CompareAndSwap(from, (from+1)%uint32(len(c.hosts)))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
