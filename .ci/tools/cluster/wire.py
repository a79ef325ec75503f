"""Enough of the CQL native protocol, version 4, to ask a node how it is and to set it up.

The layout of frames is in native_protocol_v4.spec of Apache Cassandra's repository. One connection,
one statement at a time, no paging: it is for health checks and a handful of rows.
"""

import ipaddress
import socket
import struct
import uuid

PORT = 9042

VERSION = 4
ERROR, STARTUP, READY, AUTHENTICATE, QUERY, RESULT = 0, 1, 2, 3, 7, 8
AUTH_RESPONSE, AUTH_SUCCESS = 15, 16

WARNED = 0x08  # a flag of a frame: a list of warnings stands before the body
ONE, ALL = 1, 5  # consistencies
ROWS = 2  # the kind of a result

# Numbers of types in the metadata of rows.
TEXTS = {0x0001, 0x000A, 0x000D}  # ascii, text, varchar
NUMBERS = {0x0002, 0x0005, 0x0009, 0x000B, 0x0013, 0x0014}
BOOLEAN, UUIDS, INET = 0x0004, {0x000C, 0x000F}, 0x0010
CUSTOM, LIST, MAP, SET, UDT, TUPLE = 0x0000, 0x0020, 0x0021, 0x0022, 0x0030, 0x0031

BAD_CREDENTIALS, UNAVAILABLE, READ_TIMEOUT = 0x0100, 0x1000, 0x1200


class Refused(Exception):
    """What the server answered instead of a result."""

    def __init__(self, answer):
        self.code = answer.int()
        super().__init__(f"0x{self.code:04x} {answer.text()}")
        # How many replicas the node takes for alive, if that is what it complains about.
        self.alive = None
        if self.code == UNAVAILABLE:
            answer.short(), answer.int()
            self.alive = answer.int()


class Reader:
    """Takes values off the front of a body."""

    def __init__(self, body):
        self.body = memoryview(body)

    def raw(self, length):
        if length > len(self.body):
            raise OSError("the node's answer ends in the middle of a value")
        taken, self.body = self.body[:length], self.body[length:]
        return bytes(taken)

    def number(self, form):
        return struct.unpack(form, self.raw(struct.calcsize(form)))[0]

    def byte(self):
        return self.number(">B")

    def short(self):
        return self.number(">H")

    def int(self):
        return self.number(">i")

    def text(self):
        return self.raw(self.short()).decode()

    def value(self):
        length = self.int()
        return None if length < 0 else self.raw(length)

    def type(self):
        """A column's type with its parts, as nested tuples."""
        number = self.short()
        if number == CUSTOM:
            return (number, self.text())
        if number in (LIST, SET):
            return (number, self.type())
        if number == MAP:
            return (number, self.type(), self.type())
        if number == UDT:
            self.text(), self.text()
            return (number, *((self.text(), self.type()) for _ in range(self.short())))
        if number == TUPLE:
            return (number, *(self.type() for _ in range(self.short())))
        return (number,)


def decode(kind, raw):
    """A value as JSON knows it; what has no such form is shown in hexadecimal digits."""
    if raw is None:
        return None
    number = kind[0]
    if number in TEXTS:
        return raw.decode()
    if number in NUMBERS:
        return int.from_bytes(raw, "big", signed=True)
    if number == BOOLEAN:
        return raw != b"\0"
    if number in UUIDS:
        return str(uuid.UUID(bytes=raw))
    if number == INET:
        return str(ipaddress.ip_address(raw))
    if number in (LIST, SET):
        parts = Reader(raw)
        return [decode(kind[1], parts.value()) for _ in range(parts.int())]
    if number == MAP:
        parts = Reader(raw)
        pairs = [(parts.value(), parts.value()) for _ in range(parts.int())]
        return {str(decode(kind[1], k)): decode(kind[2], v) for k, v in pairs}
    return "0x" + raw.hex()


def _text(text):
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _bytes(raw):
    return struct.pack(">i", len(raw)) + raw


class Connection:
    """A connection that has logged in. Use it in a `with`."""

    def __init__(self, host, login, tls=None, timeout=5.0):
        plain = socket.create_connection((host, PORT), timeout)
        try:
            self.socket = tls.wrap_socket(plain, server_hostname=host) if tls else plain
            self._log_in(login)
        except BaseException:
            plain.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _log_in(self, login):
        options = {"CQL_VERSION": "3.0.0"}
        body = b"".join(_text(k) + _text(v) for k, v in options.items())
        answered, _ = self._ask(STARTUP, struct.pack(">H", len(options)) + body)
        if answered == AUTHENTICATE:
            user, password = login
            token = b"\0" + user.encode() + b"\0" + password.encode()
            answered, _ = self._ask(AUTH_RESPONSE, _bytes(token))
        if answered not in (READY, AUTH_SUCCESS):
            raise OSError(f"the node answered the login with opcode {answered}")

    def _receive(self, length):
        parts = bytearray()
        while len(parts) < length:
            part = self.socket.recv(length - len(parts))
            if not part:
                raise OSError("the node closed the connection")
            parts += part
        return bytes(parts)

    def _ask(self, opcode, body):
        head = struct.pack(">BBhBi", VERSION, 0, 0, opcode, len(body))
        self.socket.sendall(head + body)
        _, flags, _, answered, length = struct.unpack(">BBhBi", self._receive(9))
        reader = Reader(self._receive(length))
        if flags & WARNED:
            for _ in range(reader.short()):
                reader.text()
        if answered == ERROR:
            raise Refused(reader)
        return answered, reader

    def query(self, statement, consistency=ONE):
        """The rows of a statement's answer, each by column; none if it has none."""
        raw = statement.encode()
        _, answer = self._ask(QUERY, _bytes(raw) + struct.pack(">HB", consistency, 0))
        if answer.int() != ROWS:
            return []
        flags, count = answer.int(), answer.int()
        of_one_table = flags & 1
        if of_one_table:
            answer.text(), answer.text()
        columns = []
        for _ in range(count):
            if not of_one_table:
                answer.text(), answer.text()
            columns.append((answer.text(), answer.type()))
        return [
            {name: decode(kind, answer.value()) for name, kind in columns}
            for _ in range(answer.int())
        ]
