"""A cluster in a folder: what was asked for is in cluster.json, each node in nodeN/.

The ring is laid out beforehand (see `tokens`), and nodes do not stream to each other when they
join, so all nodes of a new cluster start at once. It is not a way to grow one that has data.
"""

import ipaddress
import json
import os
import secrets
import shutil
import signal
import time
import zlib
from pathlib import Path

import process
import wire
from certificates import Certificates
from network import Loopback, Namespaces
from node import TOKENS, Node, java, module_flags

# What a new cluster is like where nothing was said.
DEFAULTS = {
    "layout": [["dc1", 1]],
    "network": "loopback",
    "tls": "off",
    "user": "admin",
    "heap": "256m",
}

# Cassandra makes this superuser when it first starts.
DEFAULT_LOGIN = ("cassandra", "cassandra")

# How long a node may take to end by itself before it is killed.
STOP_SECONDS = 30

# Longer than a node lets a read wait for others (5 s), so that it answers with that.
READ_SECONDS = 8.0

# The unprivileged role that the host logs in as.
HOST_ROLE = "holdfast"

# How long the server may work on one statement of ours; dropping a keyspace takes it seconds.
STATEMENT_SECONDS = 120

# What the host needs: to read and write, and to make and change its tables.
HOST_RIGHTS = ("CREATE", "ALTER", "DROP", "SELECT", "MODIFY")


def first_address(directory, network):
    """An address that is this folder's own: clusters in other folders do not meet it."""
    block = zlib.crc32(os.fsencode(directory))
    if network == "namespaces":
        # 198.18.0.0/15 is set aside for tests of networks (RFC 2544), so nobody is reached by it.
        return f"198.{18 + (block & 1)}.{(block >> 1) % 256}.1"
    return f"127.{64 + block % 128}.{(block >> 8) % 256}.1"


def parse_layout(text):
    """`dc1=3,dc2=1` as pairs of a datacenter and its number of nodes."""
    layout = []
    for part in text.split(","):
        name, _, count = part.partition("=")
        if not name.isalnum() or not count.isdigit() or not 1 <= int(count) <= 9:
            raise ValueError(f"{part!r} is not a datacenter and its nodes, as in dc1=3,dc2=1")
        layout.append([name, int(count)])
    return layout


class Cluster:
    """A cluster as `cluster.json` describes it."""

    def __init__(self, directory, options):
        self.dir, self.options = Path(directory), options
        self.superuser = (options["user"], options["password"])
        self.host = (HOST_ROLE, options["host_password"])
        self.tls, self.heap, self.jmx = options["tls"], options["heap"], options["jmx"]
        self.jars = options["jars"]
        self.durable = options.get("durable")
        self.network = Loopback()
        if options["network"] == "namespaces":
            self.network = Namespaces(self.dir)
        # There once all roles were made: a run that is cut short leaves nodes that answer without.
        self._roles = self.dir / "roles-made"
        self.nodes = []
        first = ipaddress.ip_address(options["first_ip"])
        for datacenter, count in options["layout"]:
            for _ in range(count):
                address = str(first + len(self.nodes))
                self.nodes.append(Node(self, len(self.nodes) + 1, address, datacenter))
        addresses = [node.address for node in self.nodes]
        self.certificates = Certificates(self.dir / "tls", addresses)

    @classmethod
    def load(cls, directory):
        """The cluster of a folder, or None."""
        try:
            return cls(directory, json.loads((Path(directory) / "cluster.json").read_text()))
        except FileNotFoundError:
            return None

    @classmethod
    def make(cls, directory, wanted, jars):
        """A new cluster, written down but not started."""
        options = {key: value or DEFAULTS.get(key) for key, value in wanted.items()}
        options["jars"] = jars
        options["password"] = options["password"] or secrets.token_hex(12)
        options["host_password"] = secrets.token_hex(12)
        options["first_ip"] = options["first_ip"] or first_address(directory, options["network"])
        cluster = cls(directory, options)
        if cluster.tls != "off":
            cluster.certificates.make()
        seeds = [f"{node.address}:7000" for node in cluster._first_of_each()]
        for node in cluster.nodes:
            node.configure(cluster.tokens(node), seeds)
        # Last: a folder without it is no cluster yet, and is made again.
        path = Path(directory) / "cluster.json"
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
            json.dump(options, out, indent=1)
        return cluster

    def _first_of_each(self):
        firsts = {}
        for node in self.nodes:
            firsts.setdefault(node.datacenter, node)
        return list(firsts.values())

    def tokens(self, node):
        """Where on the ring a node stands: evenly among its datacenter's, beside the others'."""
        names = [name for name, _ in self.options["layout"]]
        peers = [peer for peer in self.nodes if peer.datacenter == node.datacenter]
        places = TOKENS * len(peers)
        aside = 1 + 4096 * names.index(node.datacenter)
        mine = range(peers.index(node), places, len(peers))
        return [aside + place * (2**64 // places) - 2**63 for place in mine]

    def node(self, number):
        if not 1 <= number <= len(self.nodes):
            raise SystemExit(f"there is no node {number}; there are {len(self.nodes)}")
        return self.nodes[number - 1]

    def dead(self):
        return [node for node in self.nodes if node.process.pid() is None]

    # --- life

    def start(self, nodes):
        self.network.up(self.nodes)
        for node in nodes:
            node.start()

    def wait(self, nodes, seconds):
        """Waits until the nodes answer, and all that can be reached take each other for alive."""
        give_up = time.monotonic() + seconds
        reachable = [node for node in self.nodes if node.is_reachable()]
        waiting = {node: "not asked yet" for node in self.nodes if node in [*nodes, *reachable]}
        while waiting:
            for node in list(waiting):
                if node.process.pid() is None:
                    raise SystemExit(f"node {node.number} ended:\n{node.last_words()}\n{node.log}")
                trouble = self._trouble(node, len(reachable))
                if trouble is None:
                    del waiting[node]
                else:
                    waiting[node] = trouble
            if waiting and time.monotonic() > give_up:
                told = "; ".join(f"node {n.number}: {t} ({n.log})" for n, t in waiting.items())
                raise SystemExit(f"not ready after {seconds:.0f} s: {told}")
            if waiting:
                time.sleep(0.1)

    def _trouble(self, node, reachable):
        try:
            with self.connect(node, READ_SECONDS) as connection:
                peers = connection.query("SELECT peer FROM system.peers_v2")
                alive = self._alive(connection)
        except (OSError, wire.Refused) as e:
            return str(e)
        missing = len(self.nodes) - 1 - len(peers)
        if missing:
            return f"does not know {missing} of the others"
        return f"takes {alive} of {reachable} for alive" if alive < reachable else None

    def _alive(self, connection):
        """How many nodes a node takes for alive: each has the roles, so it asks all for one."""
        if len(self.nodes) == 1:
            return 1
        try:
            one = "SELECT role FROM system_auth.roles WHERE role = 'cassandra'"
            connection.query(one, wire.ALL)
        except wire.Refused as e:
            if e.code == wire.UNAVAILABLE:
                return e.alive
            if e.code != wire.READ_TIMEOUT:
                raise
            # One that hangs has not answered, but counts as alive for some seconds more.
        return len(self.nodes)

    def connect(self, node, seconds=5.0):
        """As our superuser; before that one is made, as the one who is always there."""
        try:
            return node.connect(timeout=seconds)
        except wire.Refused as e:
            if e.code != wire.BAD_CREDENTIALS:
                raise
            return node.connect(DEFAULT_LOGIN, seconds)

    def has_roles(self):
        """Whether an `up` has come as far as the roles."""
        return self._roles.exists()

    def make_roles(self, keyspace=None):
        """Our superuser, and the host's role with the rights that it needs and no more."""
        with self.connect(self.nodes[0], STATEMENT_SECONDS) as connection:
            user, password = self.superuser
            made = "CREATE ROLE IF NOT EXISTS"
            connection.query(
                f"{made} \"{user}\" WITH PASSWORD = '{password}' AND LOGIN = true"
                " AND SUPERUSER = true"
            )
            user, password = self.host
            connection.query(f"{made} {user} WITH PASSWORD = '{password}' AND LOGIN = true")
            place = f'KEYSPACE "{keyspace}"' if keyspace else "ALL KEYSPACES"
            for right in HOST_RIGHTS:
                connection.query(f"GRANT {right} ON {place} TO {user}")
        self._roles.touch()

    def stop(self, nodes, number=signal.SIGTERM):
        process.end([node.brake for node in nodes], signal.SIGTERM, STOP_SECONDS)
        process.end([node.process for node in nodes], number, STOP_SECONDS)

    def down(self):
        self.stop(self.nodes)
        for node in self.nodes:
            # One that was started by a run which ended before it had written the pid.
            for pid in process.with_argument(f"@{node.arguments}"):
                os.kill(pid, signal.SIGKILL)
        self.network.down(self.nodes)

    def wipe(self):
        self.down()
        for path in (*(node.dir for node in self.nodes), self.dir / "tls", self.dir / "nodetool"):
            shutil.rmtree(path, ignore_errors=True)
        for secret in self.dir.glob("*.password"):
            secret.unlink()
        self._roles.unlink(missing_ok=True)
        (self.dir / "cluster.json").unlink(missing_ok=True)

    def keyspaces_of_tests(self, prefix):
        """Of keyspaces PREFIX<pid>_<n>: how many are some live process's, how many nobody's."""
        with self.connect(self.nodes[0]) as connection:
            rows = connection.query("SELECT keyspace_name FROM system_schema.keyspaces")
        names = [row["keyspace_name"] for row in rows if row["keyspace_name"].startswith(prefix)]
        pids = [name.removeprefix(prefix).partition("_")[0] for name in names]
        used = sum(1 for pid in pids if pid.isdigit() and process.started_at(pid))
        return used, len(pids) - used

    # --- what people and tests ask

    def environment(self, as_superuser=False):
        """The host's settings for this cluster, as variables."""
        user, password = self.superuser if as_superuser else self.host
        secret = self.dir / f"{'superuser' if as_superuser else 'host'}.password"
        with open(secret, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
            out.write(password)
        settings = {
            "CONTACT_POINTS": ",".join(f"{node.address}:{wire.PORT}" for node in self.nodes),
            "LOCAL_DATACENTER": self.nodes[0].datacenter,
            "REPLICATION": ",".join(
                f"{name}:{min(count, 3)}" for name, count in self.options["layout"]
            ),
            "USERNAME": user,
            "PASSWORD": f"file:{secret}",
        }
        if self.tls != "off":
            folder = self.certificates.folder
            settings["TLS__CA"] = f"{folder}/ca.pem"
        if self.tls == "mtls":
            settings["TLS__CERT"] = f"{folder}/client.crt"
            settings["TLS__KEY"] = f"{folder}/client.key"
        named = {f"HOLDFAST_STORE__CQL__{key}": value for key, value in settings.items()}
        return {"HOLDFAST_STORE__KIND": "cql", **named}

    def described(self):
        """Everything that a test needs to know, for `status --json`."""
        return {
            "nodes": [node.status() for node in self.nodes],
            "port": wire.PORT,
            "datacenter": self.nodes[0].datacenter,
            "tls": self.tls,
            "certificates": str(self.certificates.folder) if self.tls != "off" else None,
            "host": {"user": self.host[0], "password": self.host[1]},
            "superuser": {"user": self.superuser[0], "password": self.superuser[1]},
        }

    def nodetool(self, node, arguments):
        if not self.jmx:
            raise SystemExit("nodetool talks JMX: `up --jmx PORT`")
        home = self.dir / "nodetool"
        home.mkdir(exist_ok=True)
        properties = [
            f"-Duser.home={home}",
            f"-Dcassandra.storagedir={home}",
            f"-Dcassandra.config=file://{node.conf}/cassandra.yaml",
            f"-Dlogback.configurationFile=file://{node.conf}/logback.xml",
        ]
        machine = ["-Xmx128m", "-XX:TieredStopAtLevel=1"]
        tool = ["-cp", f"{self.jars}/*", "org.apache.cassandra.tools.NodeTool"]
        port = ["-p", str(self.jmx + node.number)]
        command = [java(), *module_flags(), *machine, *properties, *tool, *port, *arguments]
        return self.network.within(node, command)
