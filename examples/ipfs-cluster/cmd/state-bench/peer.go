package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// startMax is how long a peer may take until it answers.
const startMax = 60 * time.Second

// peer is one of IPFS Cluster, a process of its own with a folder of its own.
type peer struct {
	daemon *exec.Cmd
	folder string
	base   string
	http   *http.Client
}

func startPeer(program string) (*peer, error) {
	folder, err := os.MkdirTemp("", "ipfs-cluster-bench-")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	// As many connections are kept as there are workers, as this module's client does; IPFS Cluster's own keeps two.
	transport := &http.Transport{MaxIdleConns: workers, MaxIdleConnsPerHost: workers}
	p := &peer{
		folder: folder, base: fmt.Sprintf("http://127.0.0.1:%d", port), http: &http.Client{Transport: transport},
	}
	environment := append(os.Environ(), "IPFS_CLUSTER_PATH="+folder,
		fmt.Sprintf("CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS=/ip4/127.0.0.1/tcp/%d", port),
		"CLUSTER_IPFSHTTP_NODEMULTIADDRESS=/ip4/127.0.0.1/tcp/1")
	begin := exec.Command(program, "init", "--consensus", "crdt", "--datastore", "pebble", "--randomports")
	begin.Env = environment
	if said, err := begin.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s init: %w: %s", program, err, said)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.daemon = exec.Command(program, "--loglevel", "error", "daemon")
	p.daemon.Env, p.daemon.Stdout, p.daemon.Stderr = environment, log, log
	if err := p.daemon.Start(); err != nil {
		return nil, err
	}
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if err = p.call(context.Background(), http.MethodGet, "/id", nil); err == nil {
			return p, nil
		}
		if time.Since(begin) > startMax {
			said, _ := os.ReadFile(log.Name())
			p.stop()
			return nil, fmt.Errorf("the peer does not answer: %w: %s", err, said)
		}
	}
}

func (p *peer) stop() {
	p.daemon.Process.Kill()
	p.daemon.Wait()
	os.RemoveAll(p.folder)
}

func (p *peer) get(ctx context.Context, cid api.Cid) error {
	var pin api.Pin
	return p.call(ctx, http.MethodGet, "/allocations/"+cid.String(), &pin)
}

func (p *peer) put(ctx context.Context, pin api.Pin) error {
	query, err := pin.PinOptions.ToQuery()
	if err != nil {
		return err
	}
	var made api.Pin
	return p.call(ctx, http.MethodPost, "/pins/"+pin.Cid.String()+"?"+query, &made)
}

func (p *peer) call(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, p.base+path, nil)
	if err != nil {
		return err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}
