// Command ipfs-cluster-service is IPFS Cluster's peer with its pin set in Holdfast: the same configuration, APIs, tracker,
// monitor and allocator, and no Raft or CRDT log to catch up with.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/version"
	fslock "github.com/ipfs/go-fs-lock"
	logging "github.com/ipfs/go-log/v2"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/urfave/cli"
)

const (
	folderName   = ".ipfs-cluster"
	configName   = "service.json"
	identityName = "identity.json"
	lockName     = "cluster.lock"
)

func main() {
	app := cli.NewApp()
	app.Name = "ipfs-cluster-service"
	app.Usage = "an IPFS Cluster peer that keeps its pin set in Holdfast"
	app.Version = version.Version.String()
	app.Flags = []cli.Flag{
		cli.StringFlag{
			Name: "config, c", EnvVar: "IPFS_CLUSTER_PATH", Value: defaultFolder(),
			Usage: "the `FOLDER` with configuration, identity and the peer's own data",
		},
		cli.StringFlag{
			Name: "loglevel, l", EnvVar: "IPFS_CLUSTER_LOG_LEVEL", Value: "info",
			Usage: "the log `LEVEL`: error, warn, info or debug",
		},
	}
	app.Before = func(c *cli.Context) error { return setLogLevel(c.String("loglevel")) }
	app.Commands = []cli.Command{
		{
			Name:   "init",
			Usage:  "write a configuration and an identity",
			Action: func(c *cli.Context) error { return initialize(folderOf(c), c.Bool("force"), c.Bool("randomports")) },
			Flags: []cli.Flag{
				cli.BoolFlag{Name: "force, f", Usage: "overwrite a configuration that is there"},
				cli.BoolFlag{Name: "randomports", Usage: "listen on ports that are free now, for several peers on one machine"},
			},
		},
		{
			Name:   "daemon",
			Usage:  "run the peer",
			Action: runDaemon,
			Flags: []cli.Flag{
				cli.StringFlag{Name: "bootstrap, j", Usage: "join the cluster by these `MULTIADDRESSES`, with commas between"},
				cli.BoolFlag{Name: "leave, x", Usage: "forget this peer's place in the feed when it ends"},
				cli.BoolFlag{Name: "stats", Usage: "serve metrics as observations.metrics says"},
			},
		},
	}
	if err := app.Run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "ipfs-cluster-service:", err)
		os.Exit(1)
	}
}

// setLogLevel sets the level of the cluster's own areas; those of its libraries stay at error.
func setLogLevel(level string) error {
	for _, area := range []string{"holdfast", "pinset", "service"} {
		if err := logging.SetLogLevel(area, level); err != nil {
			return fmt.Errorf("--loglevel %q: %w", level, err)
		}
	}
	for area := range ipfscluster.LoggingFacilities {
		ipfscluster.SetFacilityLogLevel(area, strings.ToUpper(level))
	}
	return nil
}

func runDaemon(c *cli.Context) error {
	bootstraps, err := parseAddresses(c.String("bootstrap"))
	if err != nil {
		return err
	}
	folder := folderOf(c)
	unlock, err := fslock.Lock(folder, lockName)
	if err != nil {
		return fmt.Errorf("the folder %s is in use by another peer, or cannot be written: %w", folder, err)
	}
	defer unlock.Close()
	settings, err := load(folder)
	if err != nil {
		return err
	}
	defer settings.manager.Shutdown()
	settings.cluster.LeaveOnShutdown = settings.cluster.LeaveOnShutdown || c.Bool("leave")
	settings.metrics.EnableStats = settings.metrics.EnableStats || c.Bool("stats")
	return daemon(context.Background(), settings, bootstraps)
}

func parseAddresses(text string) ([]ma.Multiaddr, error) {
	var addresses []ma.Multiaddr
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		address, err := ma.NewMultiaddr(part)
		if err != nil {
			return nil, fmt.Errorf("--bootstrap %q: %w", part, err)
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

func folderOf(c *cli.Context) string { return c.GlobalString("config") }

func defaultFolder() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return folderName
	}
	return filepath.Join(home, folderName)
}
