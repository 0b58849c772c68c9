"""A runtime as a child process, and the test case that starts and ends it."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from .peer import PATIENCE, Peer


class Runtime:
    """One process that serves."""

    def __init__(self, folder, command, environment=None, **options):
        self.path = os.path.join(folder, "s")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OUTRIGGER", "PROBE"))}
        env = {**kept, "OUTRIGGER_HANDLER_SOCKET": self.path, **(environment or {})}
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("cwd", folder)
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
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

    def sockets(self):
        """How many sockets it holds open."""
        folder = f"/proc/{self.process.pid}/fd"
        count = 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(os.path.join(folder, name)).startswith("socket:")
            except FileNotFoundError:
                pass  # closed between the two looks
        return count

    def stop(self):
        """Ends it by force where it still runs."""
        self.limit.cancel()
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        if self.process.stdin is not None:
            self.process.stdin.close()


def wait_until(what, look):
    """Waits until `look` says yes."""
    end = time.monotonic() + PATIENCE
    while not look():
        if time.monotonic() > end:
            raise AssertionError(f"it never came about: {what}")
        time.sleep(0.005)


def is_alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def end(pid):
    """Ends a process that a runtime has left behind."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def example(readme, language):
    """The first block of code in a language that a README shows."""
    text = readme.read_text(encoding="utf-8")
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0]


class RuntimeCase(unittest.TestCase):
    """A test with a folder of its own, whose runtimes and peers end with it.

    `conformance` and `probe` are the commands of the conformance handler and of the suites' own one.
    """

    conformance = None
    probe = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="outr-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def in_folder(self, name):
        """A path in the test's folder."""
        return os.path.join(self.folder, name)

    def conforming(self, concurrency=4, **options):
        """The conformance handler, serving."""
        return self.start(self.conformance, concurrency, **options)

    def probing(self, only=None, concurrency=1, max_frame=None, **options):
        """The suites' own handler, serving all its functions or one."""
        environment = options.pop("environment", {})
        if only is not None:
            environment["PROBE_ONLY"] = only
        if max_frame is not None:
            environment["PROBE_MAX_FRAME"] = str(max_frame)
        return self.start(self.probe, concurrency, environment=environment, **options)

    def start(self, command, concurrency, environment=None, **options):
        """A runtime that serves."""
        settings = {"OUTRIGGER_HANDLER_CONCURRENCY": str(concurrency), **(environment or {})}
        return self.launch(command, settings, **options).serving()

    def launch(self, command, environment=None, **options):
        """A runtime that may also refuse to start."""
        runtime = Runtime(self.folder, command, environment, **options)
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

    def gate(self):
        """A named pipe: whoever opens it to read waits until it is opened to write."""
        path = self.in_folder("gate")
        os.mkfifo(path)
        return path

    def open_gate(self):
        """Lets the call at the gate go on."""
        with open(self.in_folder("gate"), "w", encoding="utf-8"):
            pass

    def begin(self, runtime, function, payload):
        """A peer whose call has begun and said so."""
        peer = self.connect(runtime)
        peer.request(payload, function=function)
        self.assertEqual(peer.reply(), {"status": "progress", "message": "begun"})
        return peer
