// Package hosts starts real hosts with an empty pin set each, for IPFS Cluster's own test suites. They end with the process that
// started them, however it ends.
package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

// binaryName is the environment's name for the program to start.
const binaryName = "HOLDFAST_BIN"

// firstKey is of the hosts' first administrator.
const firstKey = "the-first-key-of-a-host-that-lives-as-long-as-a-test"

// startMax is how long a host may take to answer on a machine that runs many tests at once.
const startMax = 60 * time.Second

// askEvery is between two looks whether a host answers.
const askEvery = 20 * time.Millisecond

// startsMax is how often a host is started before it is given up: its ports may have been taken since they were found free.
const startsMax = 3

// Options are those of a client of the host.
type Options = client.Options

// sparesMax is how many hosts wait for the next ones who ask: as many as IPFS Cluster's tests of a tracker take in a row.
const sparesMax = 16

// started is what became of a start.
type started struct {
	options Options
	err     error
}

// spares are hosts that have been started ahead; nil if none are.
var spares chan started

// request is a host that is asked for.
type request struct {
	command *exec.Cmd
	started chan error
}

var (
	launcher sync.Once
	requests = make(chan request)
)

// Ahead has hosts started ahead from now on, and waits for these: where tests ask for a host within a deadline of theirs,
// the time that it takes to start is no part of what they look at.
func Ahead() {
	spares = make(chan started, sparesMax)
	var starts sync.WaitGroup
	for range sparesMax {
		// Beside each other: a start mostly waits for the disk.
		starts.Go(addSpare)
	}
	starts.Wait()
}

func addSpare() {
	options, err := start()
	spares <- started{options, err}
}

// Start answers how to reach a host with an empty pin set that nobody else has.
func Start() (Options, error) {
	if spares == nil {
		return start()
	}
	spare := <-spares
	go addSpare()
	return spare.options, spare.err
}

func start() (options Options, err error) {
	for range startsMax {
		if options, err = startOnce(); err == nil {
			break
		}
	}
	return options, err
}

func startOnce() (Options, error) {
	binary := os.Getenv(binaryName)
	if binary == "" {
		return Options{}, errors.New(binaryName + " is not set; let it name the holdfast program")
	}
	folder, err := os.MkdirTemp("", "holdfast-suite-")
	if err != nil {
		return Options{}, err
	}
	listen, err := freeAddress()
	if err != nil {
		return Options{}, err
	}
	ops, err := freeAddress()
	if err != nil {
		return Options{}, err
	}
	command := exec.Command(binary, "serve", "--data", filepath.Join(folder, "data"), "--listen", listen, "--role", "api")
	command.Env = append(os.Environ(), "HOLDFAST_BOOTSTRAP_ADMIN_KEY="+firstKey, "HOLDFAST_OPS__LISTEN="+ops)
	command.Dir = folder
	// Without this, hosts would outlive a suite that is killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := launch(command); err != nil {
		return Options{}, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), startMax, fmt.Errorf("not within %s", startMax))
	defer cancel()
	ctx, ended := context.WithCancelCause(ctx)
	go func() { ended(fmt.Errorf("it has ended: %w", command.Wait())) }()
	base := "http://" + listen
	key, err := nodeKey(ctx, base)
	if err != nil {
		return Options{}, fmt.Errorf("the host %s does not answer: %w", base, err)
	}
	return Options{Hosts: []string{base}, Key: key}, nil
}

// launch starts a command from a thread that lasts as long as the process: the signal above is sent when the thread that
// started the child ends, and Go ends threads as it likes.
func launch(command *exec.Cmd) error {
	launcher.Do(func() {
		go func() {
			runtime.LockOSThread()
			for asked := range requests {
				asked.started <- asked.command.Start()
			}
		}()
	})
	asked := request{command: command, started: make(chan error)}
	requests <- asked
	return <-asked.started
}

// nodeKey waits until a host answers and has it make a key for a cluster's node.
func nodeKey(ctx context.Context, base string) (string, error) {
	for {
		key, err := makeKey(ctx, base)
		if err == nil {
			return key, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case <-time.After(askEvery):
		}
	}
}

func makeKey(ctx context.Context, base string) (string, error) {
	wanted := strings.NewReader(`{"roles": ["cluster-node"]}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/keys", wanted)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+firstKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("making a key: %s", response.Status)
	}
	var made struct {
		Secret string `json:"secret"`
	}
	return made.Secret, json.NewDecoder(response.Body).Decode(&made)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
