// Package hosts starts real hosts with an empty pin set each, for IPFS Cluster's own test suites. They end with the process that
// started them, however it ends.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"holdfast.invalid/examples/ipfs-cluster/client"
)

// binaryName is the environment's name for the program to start.
const binaryName = "HOLDFAST_BIN"

// key is of the hosts' first administrator; its roles are those of a first key.
const key = "the-first-key-of-a-host-that-lives-as-long-as-a-test"

// startMax is how long a host may take to answer on a machine that runs many tests at once.
const startMax = 60 * time.Second

// Options are those of a client of the host.
type Options = client.Options

// request is a host that is asked for.
type request struct {
	command *exec.Cmd
	started chan error
}

var (
	launcher sync.Once
	requests = make(chan request)
)

// Start starts a host and answers how to reach it.
func Start() (Options, error) {
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
	command.Env = append(os.Environ(), "HOLDFAST_BOOTSTRAP_ADMIN_KEY="+key, "HOLDFAST_OPS__LISTEN="+ops)
	command.Dir = folder
	// Without this, hosts would outlive a suite that is killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := launch(command); err != nil {
		return Options{}, err
	}
	options := Options{Hosts: []string{"http://" + listen}, Key: key}
	return options, waitFor(options)
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

func waitFor(options Options) error {
	c, err := client.New(options)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startMax)
	defer cancel()
	for {
		if _, err = c.Head(ctx); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the host %s does not answer: %w", options.Hosts[0], err)
		}
	}
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
