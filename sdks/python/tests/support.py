"""A runtime as a child process, and a sidecar that speaks protocol 1 to it byte by byte."""

import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from . import SOURCE

PATIENCE = 30
CONTROL = 0x8000_0000


class Peer:
    """The sidecar's end of one connection."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(path)

    def write(self, body, control=False):
        """Sends one frame of bytes."""
        self.sock.sendall(struct.pack(">I", len(body) | (CONTROL if control else 0)) + body)

    def control(self, value):
        """Sends a control frame."""
        self.write(json.dumps(value).encode(), control=True)

    def request(self, payload, **meta):
        """Sends a request, after a meta frame where there is something to say."""
        if meta:
            self.control({"meta": meta})
        self.write(json.dumps(payload).encode())

    def exactly(self, size):
        """That many bytes; None at the end of the stream."""
        body = bytearray()
        while len(body) < size:
            chunk = self.sock.recv(min(size - len(body), 1 << 20))
            if not chunk:
                if body:
                    raise AssertionError(f"cut short after {len(body)} of {size} bytes")
                return None
            body += chunk
        return bytes(body)

    def frame(self):
        """The next frame as (is control, bytes); None at the end of the stream."""
        head = self.exactly(4)
        if head is None:
            return None
        (size,) = struct.unpack(">I", head)
        return bool(size & CONTROL), self.exactly(size & ~CONTROL) if size & ~CONTROL else b""

    def hello(self):
        """The hello that must come first; returns its functions."""
        control, body = self.frame()
        assert control
        hello = json.loads(body)["hello"]
        assert hello["protocol"] == 1
        return hello["functions"]

    def reply(self):
        """The next frame, which must not be a control frame."""
        control, body = self.frame()
        assert not control, body
        return json.loads(body)

    def pong(self):
        """The next frame, which must be a pong."""
        control, body = self.frame()
        assert control, body
        return json.loads(body)["pong"]

    def call(self, payload, **meta):
        """One exchange without interim frames."""
        self.request(payload, **meta)
        return self.reply()

    def ended(self):
        """Whether the other side has closed, once something can be read."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def quiet(self, seconds=0):
        """Whether nothing comes for so long."""
        return not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        """Goes away."""
        self.sock.close()


class Runtime:
    """`python -m outrigger` as a process of its own."""

    def __init__(self, folder, arguments, environment=None, **options):
        self.path = os.path.join(folder, "s")
        # PYTHONUNBUFFERED would hide whether what a handler prints is flushed.
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OUTRIGGER", "PYTHON"))}
        env = {**kept, "PYTHONPATH": SOURCE, "OUTRIGGER_HANDLER_SOCKET": self.path, **(environment or {})}
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("cwd", folder)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.said = ""
        # A wait for what never comes ends as a failure: every pipe reads its end.
        self.limit = threading.Timer(PATIENCE, self.process.kill)
        self.limit.daemon = True
        self.limit.start()

    def serving(self):
        """Waits until it listens."""
        return self.says("outrigger: serving ")

    def says(self, start):
        """Waits for a line on its stderr."""
        for line in self.process.stderr:
            self.said += line
            if line.startswith(start):
                return self
        raise AssertionError(f"it never said {start!r}: {self.said}")

    def prints(self):
        """The next line on its stdout."""
        return self.process.stdout.readline().rstrip("\n")

    def ends(self):
        """Waits for its end; the exit code and all it said on stderr."""
        self.said += self.process.stderr.read()
        return self.process.wait(PATIENCE), self.said

    def signal(self, number):
        """Sends it a signal."""
        self.process.send_signal(number)

    def stop(self):
        """Ends it by force where it still runs."""
        self.limit.cancel()
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        if self.process.stdin is not None:
            self.process.stdin.close()


class RuntimeCase(unittest.TestCase):
    """A test with a folder of its own, whose runtimes and peers end with it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="outr-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def put(self, name, source):
        """Writes a file into the folder."""
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(source))

    def start(self, source, spec="handler.py", concurrency=1, arguments=(), **options):
        """A runtime that serves `source`."""
        self.put("handler.py", source)
        environment = {"OUTRIGGER_HANDLER_CONCURRENCY": str(concurrency), **options.pop("environment", {})}
        return self.launch(["-m", "outrigger", spec, *arguments], environment, **options).serving()

    def launch(self, arguments, environment=None, **options):
        """A runtime that may also refuse to start."""
        runtime = Runtime(self.folder, arguments, environment, **options)
        self.addCleanup(runtime.stop)
        return runtime

    def connect(self, runtime):
        """A peer past the hello."""
        peer = self.knock(runtime)
        peer.hello()
        return peer

    def knock(self, runtime):
        """A peer that has not read the hello yet."""
        peer = Peer(runtime.path)
        self.addCleanup(peer.close)
        return peer
