"""Processes that are started here and found again later, by another run of this program.

A pid alone may be somebody else's by then. So a file keeps it together with the time at which the
kernel started it, and nothing is signalled unless both still fit.
"""

import os
import signal
import subprocess
import time
from pathlib import Path


def _stat(pid):
    """The state and the start time of a process, as /proc/PID/stat has them."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces; the state is the first word after it.
    words = text.rpartition(")")[2].split()
    return words[0], words[19]


def started_at(pid):
    """When a process was started, in the kernel's ticks; None if it is gone or only a zombie."""
    found = _stat(pid)
    return None if found is None or found[0] in "ZX" else found[1]


class Kept:
    """A process whose pid is kept in a file."""

    def __init__(self, path):
        self.path = Path(path)

    def start(self, command, log, cwd):
        with open(log, "ab") as out:
            child = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C in a terminal is not for it
            )
        self.path.write_text(f"{child.pid} {started_at(child.pid)}\n")

    def pid(self):
        try:
            pid, start = self.path.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if started_at(pid) == start else None

    def state(self):
        """`down`, `paused` or `running`."""
        pid = self.pid()
        found = _stat(pid) if pid else None
        if found is None:
            return "down"
        return "paused" if found[0] == "T" else "running"

    def send(self, number):
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, number)
        return True


def end(kept, number, seconds):
    """Ends processes, all at once; who is still there after a while is killed."""
    for one in kept:
        # A stopped process would only look at the signal once it goes on.
        if one.send(number):
            one.send(signal.SIGCONT)
    give_up = time.monotonic() + seconds
    while any(one.pid() for one in kept):
        if time.monotonic() > give_up:
            for one in kept:
                one.send(signal.SIGKILL)
        time.sleep(0.02)
    for one in kept:
        one.path.unlink(missing_ok=True)


def with_argument(argument):
    """Pids of live processes that have exactly this argument."""
    wanted = os.fsencode(argument)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in arguments and started_at(entry.name):
            found.append(int(entry.name))
    return found
