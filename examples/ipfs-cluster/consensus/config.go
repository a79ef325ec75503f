package consensus

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/kelseyhightower/envconfig"
	peer "github.com/libp2p/go-libp2p/core/peer"
)

const (
	configKey    = "holdfast"
	envConfigKey = "cluster_holdfast"
)

// Defaults of a configuration.
const (
	DefaultHost          = "http://127.0.0.1:8420"
	DefaultPeersetMetric = "ping"
	DefaultMaxQueueSize  = 50_000
)

// Batching says how many writes are sent together. With either bound at zero each is sent, and durable, by itself; the host
// shares its own work among writers then, so batching pays only for peers that pin thousands of things at once.
type Batching struct {
	MaxBatchSize int
	MaxBatchAge  time.Duration
	// MaxQueueSize is how many writes may wait; those beyond are refused.
	MaxQueueSize int
}

// On says whether writes are batched.
func (b Batching) On() bool { return b.MaxBatchSize > 0 && b.MaxBatchAge > 0 }

// Config is the section "consensus": {"holdfast": …} of a peer's service.json.
type Config struct {
	config.Saver

	// Hosts are base URLs of one store's hosts; the next is asked when one does not answer.
	Hosts []string
	// Key is the peer's API key, with the role cluster-node. KeyFile names a file that has it instead.
	Key     string
	KeyFile string
	// TrustAll lets every peer that has the cluster's secret use the RPC of trusted peers; TrustedPeers only these.
	TrustAll     bool
	TrustedPeers []peer.ID
	// PeersetMetric is the metric by which peers are known to be there.
	PeersetMetric string
	Batching      Batching
}

type batchingJSON struct {
	MaxBatchSize int    `json:"max_batch_size"`
	MaxBatchAge  string `json:"max_batch_age"`
	MaxQueueSize int    `json:"max_queue_size,omitempty"`
}

type configJSON struct {
	Hosts         []string     `json:"hosts"`
	Key           string       `json:"key,omitempty" hidden:"true"`
	KeyFile       string       `json:"key_file,omitempty"`
	TrustedPeers  []string     `json:"trusted_peers"`
	PeersetMetric string       `json:"peerset_metric,omitempty"`
	Batching      batchingJSON `json:"batching"`
}

// ConfigKey is the section's name.
func (c *Config) ConfigKey() string { return configKey }

// Default sets what a fresh configuration has. The key has no default.
func (c *Config) Default() error {
	c.Hosts = []string{DefaultHost}
	c.Key, c.KeyFile = "", ""
	c.TrustAll, c.TrustedPeers = true, nil
	c.PeersetMetric = DefaultPeersetMetric
	c.Batching = Batching{MaxQueueSize: DefaultMaxQueueSize}
	return nil
}

// Validate names what is wrong. A missing key is told when the component starts: a fresh configuration has none.
func (c *Config) Validate() error {
	switch {
	case len(c.Hosts) == 0:
		return errors.New("holdfast.hosts is empty; name at least one host, such as " + DefaultHost)
	case c.Key != "" && c.KeyFile != "":
		return errors.New("holdfast.key and holdfast.key_file are both set; leave one out")
	case c.PeersetMetric == "":
		return errors.New("holdfast.peerset_metric needs a name")
	case c.Batching.MaxQueueSize <= 0:
		return errors.New("holdfast.batching.max_queue_size must be above 0")
	case c.Batching.MaxBatchSize < 0 || c.Batching.MaxBatchAge < 0:
		return errors.New("holdfast.batching.max_batch_size and max_batch_age must not be negative")
	}
	return nil
}

// LoadJSON reads the section.
func (c *Config) LoadJSON(raw []byte) error {
	var read configJSON
	if err := json.Unmarshal(raw, &read); err != nil {
		return fmt.Errorf("the section %s: %w", configKey, err)
	}
	if err := c.Default(); err != nil {
		return err
	}
	return c.apply(read)
}

// ApplyEnvVars lets the environment overrule the section: CLUSTER_HOLDFAST_HOSTS, _KEY, _KEYFILE, _TRUSTEDPEERS,
// _PEERSETMETRIC, _BATCHING_MAXBATCHSIZE, _BATCHING_MAXBATCHAGE, _BATCHING_MAXQUEUESIZE.
func (c *Config) ApplyEnvVars() error {
	now := c.written()
	if err := envconfig.Process(envConfigKey, &now); err != nil {
		return err
	}
	return c.apply(now)
}

// ToJSON writes the section.
func (c *Config) ToJSON() ([]byte, error) { return config.DefaultJSONMarshal(c.written()) }

// ToDisplayJSON writes the section without the key.
func (c *Config) ToDisplayJSON() ([]byte, error) { return config.DisplayJSON(c.written()) }

func (c *Config) apply(read configJSON) error {
	c.Hosts, c.Key, c.KeyFile = read.Hosts, read.Key, read.KeyFile
	config.SetIfNotDefault(read.PeersetMetric, &c.PeersetMetric)
	c.TrustAll, c.TrustedPeers = false, nil
	for _, text := range read.TrustedPeers {
		if text == "*" {
			c.TrustAll, c.TrustedPeers = true, nil
			break
		}
		id, err := peer.Decode(text)
		if err != nil {
			return fmt.Errorf("holdfast.trusted_peers: %q: %w", text, err)
		}
		c.TrustedPeers = append(c.TrustedPeers, id)
	}
	c.Batching.MaxBatchSize = read.Batching.MaxBatchSize
	config.SetIfNotDefault(read.Batching.MaxQueueSize, &c.Batching.MaxQueueSize)
	age := &config.DurationOpt{
		Duration: read.Batching.MaxBatchAge, Dst: &c.Batching.MaxBatchAge, Name: "batching.max_batch_age",
	}
	if err := config.ParseDurations(configKey, age); err != nil {
		return err
	}
	return c.Validate()
}

func (c *Config) written() configJSON {
	out := configJSON{
		Hosts: c.Hosts, Key: c.Key, KeyFile: c.KeyFile,
		TrustedPeers:  api.PeersToStrings(c.TrustedPeers),
		PeersetMetric: c.PeersetMetric,
		Batching: batchingJSON{
			MaxBatchSize: c.Batching.MaxBatchSize,
			MaxBatchAge:  c.Batching.MaxBatchAge.String(),
			MaxQueueSize: c.Batching.MaxQueueSize,
		},
	}
	if c.TrustAll {
		out.TrustedPeers = []string{"*"}
	}
	return out
}

// key is the API key, from wherever it is.
func (c *Config) key() (string, error) {
	if c.KeyFile == "" {
		return c.Key, nil
	}
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return "", fmt.Errorf("holdfast.key_file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
