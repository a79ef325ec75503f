"""How nodes are reached: on loopback addresses, or each in a network namespace of its own.

Loopback needs nothing and serves all tests that do not cut the network. A node that can be cut off
stands in a namespace, on one end of a virtual cable whose other end is in a bridge on this machine;
to cut it is to take that end down. Packets then vanish in both directions, on new connections and
old ones, as when a switch dies. It takes root and iproute2.
"""

import os
import shutil
import subprocess
import zlib


def _ip(*words, check=True):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Loopback:
    """All addresses are on the interface that everybody has."""

    def up(self, nodes):
        pass

    def down(self, nodes):
        pass

    def within(self, node, command):
        return command

    def is_cut(self, node):
        return False

    def cut(self, node):
        raise SystemExit("nodes on loopback cannot be cut off: `up --network namespaces`")

    mend = cut


class Namespaces:
    """A bridge for the cluster, a namespace and a cable for each node."""

    def __init__(self, directory):
        # Names of interfaces have at most 15 characters; the folder's path decides, so that
        # clusters side by side do not meet.
        self.tag = f"hf{zlib.crc32(os.fsencode(directory)):08x}"

    def _namespace(self, node):
        return f"{self.tag}-{node.number}"

    def _cable(self, node):
        return f"{self.tag}n{node.number}"

    def up(self, nodes):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise SystemExit("network namespaces take root and iproute2 (`ip`)")
        if not self._exists(self.tag):
            _ip("link", "add", self.tag, "type", "bridge")
            # The last address of the block is this machine's.
            ours = nodes[0].address.rpartition(".")[0] + ".254/24"
            _ip("address", "add", ours, "dev", self.tag)
            _ip("link", "set", self.tag, "up")
        there = _ip("netns", "list").split()
        for node in nodes:
            if self._namespace(node) not in there:
                self._plug_in(node)

    def _exists(self, interface):
        return bool(_ip("link", "show", "dev", interface, check=False))

    def _plug_in(self, node):
        namespace, cable = self._namespace(node), self._cable(node)
        _ip("netns", "add", namespace)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("link", "set", cable, "master", self.tag, "up")
        inside = ["-n", namespace]
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "address", "add", f"{node.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")

    def down(self, nodes):
        for node in nodes:
            _ip("netns", "delete", self._namespace(node), check=False)
            # With the namespace its end goes, and with it ours, but only some time later.
            _ip("link", "delete", self._cable(node), check=False)
        _ip("link", "delete", self.tag, check=False)

    def within(self, node, command):
        # It becomes the command, so the pid that is kept is the node's.
        return [shutil.which("ip"), "netns", "exec", self._namespace(node), *command]

    def is_cut(self, node):
        cable = _ip("-br", "link", "show", "dev", self._cable(node), check=False)
        return bool(cable) and "UP" not in cable

    def cut(self, node):
        _ip("link", "set", self._cable(node), "down")

    def mend(self, node):
        _ip("link", "set", self._cable(node), "up")
