"""One Cassandra node: its configuration, its process, its logs.

Settings here are for tests: little memory, quick starts, and no surprise from a cache that expires
in the middle of a fault. Times after which the server gives up are the server's own defaults,
because those are what the store must live with.
"""

import os
import shutil
import signal
from pathlib import Path

from process import Kept
from wire import Connection, PORT

# Between nodes; the same on each, since each has an address of its own.
INTERNODE_PORT = 7000

# Ranges of the ring for each node. The more, the longer a start and every scan by ranges.
TOKENS = 8

# What Cassandra's own start script opens for it on Java 17 (conf/jvm17-server.options).
EXPORTS = """
    java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch java.sql/java.sql
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry
    java.rmi/sun.rmi.server java.rmi/sun.rmi.transport.tcp
""".split()
OPENS = """
    java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect
    java.base/java.nio java.base/java.util java.base/jdk.internal.loader
    java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref
    java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch
    jdk.management/com.sun.management.internal
""".split()


def java():
    """The Java to run: 17, or 11; newer ones lack what Cassandra 5 was written for."""
    home = os.environ.get("JAVA_HOME")
    found = f"{home}/bin/java" if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        raise SystemExit("no java here: install a JDK 17 and set JAVA_HOME or PATH to it")
    return found


def module_flags():
    exports = [f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS]
    return exports + [f"--add-opens={name}=ALL-UNNAMED" for name in OPENS]


class Node:
    """The Nth node of a cluster, counted from 1."""

    def __init__(self, cluster, number, address, datacenter):
        self.cluster, self.number = cluster, number
        self.address, self.datacenter = address, datacenter
        self.dir = cluster.dir / f"node{number}"
        self.conf = self.dir / "conf"
        self.log = self.dir / "cassandra.log"
        self.arguments = self.conf / "java.args"
        self.generation = self.dir / "generation"
        self.process = Kept(self.dir / "pid")
        self.brake = Kept(self.dir / "brake.pid")

    def connect(self, login=None, timeout=5.0):
        login = login or self.cluster.superuser
        return Connection(self.address, login, self._tls_context(), timeout)

    def _tls_context(self):
        if self.cluster.tls == "off":
            return None
        return self.cluster.certificates.context(self.generation.read_text())

    def is_reachable(self):
        return self.process.state() == "running" and not self.cluster.network.is_cut(self)

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        # A node reads its certificates now and not when they are renewed.
        self.generation.write_text(str(self.cluster.certificates.generation()))
        command = self.cluster.network.within(self, [java(), f"@{self.arguments}"])
        self.process.start(command, self.log, self.dir)

    def last_words(self, lines=15):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def status(self):
        return {
            "node": self.number,
            "address": self.address,
            "datacenter": self.datacenter,
            "state": self.process.state(),
            "slow": self.brake.pid() is not None,
            "cut": self.cluster.network.is_cut(self),
            "pid": self.process.pid(),
            "log": str(self.log),
        }

    # --- configuration

    def configure(self, tokens, seeds):
        self.conf.mkdir(parents=True, exist_ok=True)
        (self.conf / "cassandra.yaml").write_text(self._yaml(tokens, seeds))
        where = f"dc={self.datacenter}\nrack=rack1\n"
        (self.conf / "cassandra-rackdc.properties").write_text(where)
        (self.conf / "logback.xml").write_text(LOGBACK)
        quoted = "".join(f'"{argument}"\n' for argument in self._java_arguments())
        self.arguments.write_text(quoted)

    def _yaml(self, tokens, seeds):
        data = self.dir / "data"
        settings = {
            "cluster_name": f"holdfast {self.cluster.dir.name}",
            # Random tokens of nodes that start together may collide; these are even and known.
            "num_tokens": TOKENS,
            "initial_token": f'"{",".join(map(str, tokens))}"',
            "auto_bootstrap": "false",
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "GossipingPropertyFileSnitch",
            "listen_address": self.address,
            "rpc_address": self.address,
            "native_transport_port": PORT,
            "storage_port": INTERNODE_PORT,
            "data_file_directories": f"[{data}/tables]",
            "commitlog_directory": f"{data}/commitlog",
            "saved_caches_directory": f"{data}/caches",
            "hints_directory": f"{data}/hints",
            "cdc_raw_directory": f"{data}/cdc",
            **self._commitlog(),
            "commitlog_segment_size": "8MiB",
            "commitlog_total_space": "128MiB",
            "memtable_heap_space": "64MiB",
            "memtable_offheap_space": "64MiB",
            # Not in slabs: one is a megabyte, which hundreds of small tables would each take.
            "memtable_allocation_type": "unslabbed_heap_buffers",
            "file_cache_size": "32MiB",
            "networking_cache_size": "16MiB",
            "key_cache_size": "8MiB",
            "concurrent_reads": 8,
            "concurrent_writes": 8,
            "concurrent_counter_writes": 2,
            "concurrent_compactors": 1,
            "hinted_handoff_enabled": "true",
            # Each keyspace's statements are others, and tests have many keyspaces.
            "prepared_statements_cache_size": "48MiB",
            # A table that a test drops or empties is not wanted back.
            "auto_snapshot": "false",
            "materialized_views_enabled": "false",
            "sasi_indexes_enabled": "false",
            "paxos_variant": "v2",
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            "role_manager": "CassandraRoleManager",
            # Otherwise every statement asks a majority for its permissions once they are 2 s old,
            # and one node that hangs makes statements hang that it has no part in.
            "auth_read_consistency_level": "LOCAL_ONE",
            "roles_validity": "10m",
            "permissions_validity": "10m",
            # Only logins read these, from the node itself; a changed password counts at once.
            "credentials_validity": "1s",
        }
        lines = [f"{key}: {value}" for key, value in settings.items()]
        lines += [
            "seed_provider:",
            "  - class_name: org.apache.cassandra.locator.SimpleSeedProvider",
            f'    parameters: [{{seeds: "{",".join(seeds)}"}}]',
        ]
        if self.cluster.tls != "off":
            lines += self._encryption()
        return "\n".join(lines) + "\n"

    def _commitlog(self):
        """When a write is answered: once it is on disk, or up to a second before.

        Even a killed process forgets what it has not synced, for its log ends at the last mark of
        a sync. To sync each write costs 2 ms.
        """
        if self.cluster.durable:
            return {"commitlog_sync": "batch"}
        return {"commitlog_sync": "periodic", "commitlog_sync_period": "1s"}

    def _encryption(self):
        folder = self.cluster.certificates.folder

        def files(prefix):
            return [
                "  ssl_context_factory:",
                "    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory",
                f"  keystore: {folder}/{prefix}node{self.number}.pem",
                f"  truststore: {folder}/{prefix}trust.pem",
            ]

        asks = "true" if self.cluster.tls == "mtls" else "false"
        client = ["client_encryption_options:", "  enabled: true"]
        between = ["server_encryption_options:", "  internode_encryption: all"]
        between += ["  require_client_auth: true", "  require_endpoint_verification: true"]
        return [
            *client,
            f"  require_client_auth: {asks}",
            *files(""),
            *between,
            *files("between-"),
        ]

    def _java_arguments(self):
        everywhere = str(len(self.cluster.nodes))
        properties = {
            "cassandra.config": f"file://{self.conf}/cassandra.yaml",
            "cassandra-rackdc.properties": f"file://{self.conf}/cassandra-rackdc.properties",
            "logback.configurationFile": f"file://{self.conf}/logback.xml",
            "cassandra.storagedir": f"{self.dir}/data",
            "cassandra-foreground": "yes",
            "java.io.tmpdir": f"{self.dir}",
            "jdk.attach.allowAttachSelf": "true",
            # With one replica of the roles, nobody logs in once its node is dead; and a replica
            # that is added later has no roles until somebody repairs it.
            "cassandra.system_auth.default_rf": everywhere,
            "cassandra.system_distributed.default_rf": everywhere,
            "cassandra.system_traces.default_rf": everywhere,
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            # At 0 it asks again in a busy loop until the tables of roles are there.
            "cassandra.superuser_setup_delay_ms": "500",
            "cassandra.shutdown_announce_in_ms": "100",
            # Each table keeps histograms; with these, hundreds of tests' tables fit into the heap.
            "cassandra.dehr_stripe_count": "1",
        }
        if not self.cluster.durable:
            # Tables are then made in a tenth of the time. But the schema is read before the commit
            # log is, so a killed node does not know the newest tables, nor any row of theirs.
            properties["cassandra.test.flush_local_schema_changes"] = "false"
        if not self.cluster.jmx:
            properties["org.apache.cassandra.disable_mbean_registration"] = "true"
        else:
            properties["cassandra.jmx.local.port"] = str(self.cluster.jmx + self.number)
        heap = self.cluster.heap
        machine = [
            f"-Xms{heap}",
            f"-Xmx{heap}",
            "-Xss512k",
            "-XX:MaxDirectMemorySize=256m",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:+PerfDisableSharedMem",
            # The quick compiler only: half the processor time of a start goes into the other.
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
        ]
        defined = [f"-D{key}={value}" for key, value in properties.items()]
        main = ["-cp", f"{self.cluster.jars}/*", "org.apache.cassandra.service.CassandraDaemon"]
        return [*module_flags(), *machine, *defined, *main]

    # --- a node that is slow

    def slow(self, milliseconds, program):
        """Lets the process stand still for so long, again and again; 0 lets it be."""
        if self.brake.send(signal.SIGTERM):
            while self.brake.pid():
                os.sched_yield()
        self.brake.path.unlink(missing_ok=True)
        self.process.send(signal.SIGCONT)
        if milliseconds:
            pid = self.process.pid()
            if pid is None:
                raise SystemExit(f"node {self.number} is not running")
            command = [*program, "brake", str(pid), str(milliseconds)]
            self.brake.start(command, self.dir / "brake.log", self.dir)


LOGBACK = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %thread %file:%line %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.service.StartupChecks" level="ERROR"/>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""
