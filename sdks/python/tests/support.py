"""A runtime as a child process; the sidecar's side of a connection stands in `sdks/testing`."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest

from testing.peer import Peer

from . import SOURCE

PATIENCE = 30


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
