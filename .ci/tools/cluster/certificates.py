"""A private authority, certificates of nodes and of clients, made with openssl.

    ca.pem                        what clients trust
    client.crt, client.key        a client that the nodes trust
    rogue-client.crt, .key        a client of another authority, which the nodes must turn away
    nodeN.pem, trust.pem          what a node shows clients: its key with its chain; whom it trusts
    between-nodeN.pem,            the same among the nodes. They stay those of the first generation:
    between-trust.pem             a node that is not restarted yet would turn a renewed one away

Each generation has an authority of its own in generation-G/. After a renewal a node shows its new
certificate, and trusts clients of both authorities, once it was started again; until then it
knows the old ones only. Clients find both authorities in ca.pem at once.
"""

import os
import shutil
import ssl
import subprocess
from pathlib import Path

DAYS = "30"


def _openssl(where, *arguments):
    made = subprocess.run(["openssl", *arguments], cwd=where, capture_output=True, text=True)
    if made.returncode:
        raise SystemExit(f"openssl {arguments[0]} failed: {made.stderr.strip()}")


def _new_key(name, subject):
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    return [*curve, "-keyout", f"{name}.key", "-subj", f"/O=holdfast tests/CN={subject}"]


def _authority(where, name):
    uses = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    extensions = [part for use in uses for part in ("-addext", use)]
    key = _new_key(name, f"{name} of {where.name}")
    _openssl(where, "req", "-x509", *key, "-out", f"{name}.pem", "-days", DAYS, *extensions)


def _issue(where, name, authority, extensions):
    _openssl(where, "req", *_new_key(name, name), "-out", f"{name}.csr")
    (where / f"{name}.ext").write_text("".join(f"{line}\n" for line in extensions))
    signer = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial"]
    request = ["-in", f"{name}.csr", "-extfile", f"{name}.ext", "-out", f"{name}.crt"]
    _openssl(where, "x509", "-req", *request, *signer, "-days", DAYS)
    (where / f"{name}.csr").unlink()
    (where / f"{name}.ext").unlink()


def _put(path, text):
    """Whole at once: a node or a test may be reading the file that is there."""
    new = path.with_name(f".{path.name}.new")
    with open(new, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
        out.write(text)
    os.replace(new, path)


class Certificates:
    """The certificates of one cluster, in a folder."""

    def __init__(self, folder, addresses):
        self.folder, self.addresses = Path(folder), addresses

    def generation(self):
        """The number of the newest one; 0 if there is none."""
        found = self.folder.glob("generation-*")
        return max((int(path.name.rpartition("-")[2]) for path in found), default=0)

    def make(self):
        """Makes the next generation and puts it where nodes and clients look."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = self.generation() + 1
        new = self.folder / f".new-{os.getpid()}"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        _authority(new, "ca")
        _authority(new, "rogue-ca")
        _issue(new, "client", "ca", ["extendedKeyUsage=clientAuth"])
        _issue(new, "rogue-client", "rogue-ca", ["extendedKeyUsage=clientAuth"])
        for n, address in enumerate(self.addresses, 1):
            # Connections between nodes on loopback addresses leave from 127.0.0.1, and the node
            # that accepts one looks for that address.
            names = f"subjectAltName=IP:{address},IP:127.0.0.1,DNS:localhost"
            _issue(new, f"node{n}", "ca", [names, "extendedKeyUsage=serverAuth,clientAuth"])
        new.rename(self.folder / f"generation-{number}")
        self._publish(number)

    def _publish(self, number):
        new = self.folder / f"generation-{number}"
        trusted = "".join(
            (self.folder / f"generation-{n}" / "ca.pem").read_text()
            for n in range(number, max(number - 2, 0), -1)
        )
        _put(self.folder / "ca.pem", trusted)
        _put(self.folder / "trust.pem", trusted)
        if number == 1:
            _put(self.folder / "between-trust.pem", trusted)
        for name in ("client.crt", "client.key", "rogue-client.crt", "rogue-client.key"):
            _put(self.folder / name, (new / name).read_text())
        for n in range(1, len(self.addresses) + 1):
            # One file for a node: the key in PKCS#8, then its certificate, then its authority's.
            parts = [new / f"node{n}.key", new / f"node{n}.crt", new / "ca.pem"]
            chain = "".join(part.read_text() for part in parts)
            _put(self.folder / f"node{n}.pem", chain)
            if number == 1:
                _put(self.folder / f"between-node{n}.pem", chain)

    def context(self, number):
        """For connections from here to a node that was started with generation `number`."""
        made = self.folder / f"generation-{number}"
        context = ssl.create_default_context(cafile=str(made / "ca.pem"))
        context.load_cert_chain(made / "client.crt", made / "client.key")
        return context
