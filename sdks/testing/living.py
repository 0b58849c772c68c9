"""Suites of how a runtime starts, what it refuses, and how it ends: settings, socket file, signals, lifeline."""

import os
import signal
import socket
import stat
import subprocess

from .peer import PATIENCE, Peer
from .runtime import end, is_alive, wait_until


class Settings:
    def refused(self, code, fragment, environment=None):
        """Starts and must be refused."""
        left, said = self.launch(self.probe, environment).ends()
        self.assertEqual(left, code, said)
        self.assertIn(fragment, said)

    def test_settings_that_cannot_be_are_refused(self):
        self.refused(78, "no socket to serve on", {"OUTRIGGER_HANDLER_SOCKET": ""})
        self.refused(78, "OUTRIGGER_HANDLER_CONCURRENCY=two", {"OUTRIGGER_HANDLER_CONCURRENCY": "two"})
        self.refused(78, "a concurrency of 0", {"OUTRIGGER_HANDLER_CONCURRENCY": "0"})
        self.refused(78, "at most 100 are possible", {"OUTRIGGER_HANDLER_SOCKET": "/" + "x" * 100})
        self.refused(73, "No such file or directory", {"OUTRIGGER_HANDLER_SOCKET": "no/such/folder/s"})

    def test_it_says_what_it_serves_and_where(self):
        runtime = self.launch(self.probe, {"PROBE_ONLY": "echo", "OUTRIGGER_HANDLER_CONCURRENCY": "3"})
        runtime.says(f"outrigger: serving echo on {runtime.path}, 3 at once")

    def test_a_path_of_a_hundred_bytes_is_possible(self):
        folder = self.in_folder("d" * (100 - len(self.folder) - 3))
        os.mkdir(folder)
        path = os.path.join(folder, "s")
        self.assertEqual(len(path), 100)
        self.launch(self.probe, {"OUTRIGGER_HANDLER_SOCKET": path, "PROBE_ONLY": "echo"}).serving()
        peer = Peer(path)
        self.addCleanup(peer.close)
        self.assertEqual(peer.hello(), [{"name": "echo"}])
        self.assertEqual(os.listdir(folder), ["s"])

    def test_the_socket_is_its_owners_alone_under_any_umask(self):
        before = os.umask(0)
        try:
            runtime = self.launch(self.probe).serving()
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(os.stat(runtime.path).st_mode), 0o600)
        self.assertEqual(os.listdir(self.folder), ["s"])

    def test_files_that_the_handler_makes_have_the_usual_mode(self):
        before = os.umask(0o022)
        try:
            runtime = self.probing(only="make")
        finally:
            os.umask(before)
        made = self.in_folder("made")
        self.connect(runtime).call(made)
        self.assertEqual(stat.S_IMODE(os.stat(made).st_mode), 0o644)

    def test_a_stale_socket_is_replaced(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as old:
            old.bind(self.in_folder("s"))
            old.listen()
        runtime = self.probing(only="echo")
        self.assertEqual(self.connect(runtime).result(1), 1)

    def test_a_live_socket_is_left_to_its_owner(self):
        runtime = self.probing(only="echo")
        self.refused(73, "another process is serving on")
        self.assertEqual(self.connect(runtime).result(1), 1)

    def test_a_live_socket_whose_backlog_is_full_is_left_too(self):
        path = self.in_folder("s")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as busy:
            busy.bind(path)
            busy.listen(0)
            waiting = []
            try:
                while True:
                    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    waiting.append(peer)
                    peer.setblocking(False)
                    peer.connect(path)
            except BlockingIOError:
                self.refused(73, "another process is serving on")
            finally:
                for peer in waiting:
                    peer.close()

    def test_a_file_that_is_no_socket_is_not_removed(self):
        with open(self.in_folder("s"), "w", encoding="utf-8") as file:
            file.write("precious")
        self.refused(73, "is not a socket")
        with open(self.in_folder("s"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")

    def test_a_runtime_leaves_its_successors_socket_alone(self):
        runtime = self.probing(only="echo")
        os.unlink(runtime.path)
        second = self.probing(only="echo")
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.ends()[0], 0)
        self.assertEqual(self.connect(second).result(1), 1)

    def test_what_a_handler_prints_shows_at_once(self):
        runtime = self.probing(only="print")
        peer = self.connect(runtime)
        for line in ("first", "second"):
            peer.call(line)
            self.assertEqual(runtime.prints(), line)


class Signals:
    def begin_two(self):
        """A runtime with one call under way and one idle connection; the gate lets the call end."""
        runtime = self.probing(concurrency=2)
        return runtime, self.begin(runtime, "gate", self.gate()), self.connect(runtime)

    def test_sigterm_without_connections_ends_at_once(self):
        runtime = self.probing()
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.ends()[0], 0)
        self.assertFalse(os.path.exists(runtime.path))

    def test_sigterm_serves_on_until_the_peers_have_closed(self):
        runtime, busy, idle = self.begin_two()
        runtime.signal(signal.SIGTERM)
        runtime.says("outrigger: stopping when its 2 connections are closed")
        self.assertFalse(os.path.exists(runtime.path))
        self.assertEqual(idle.result("one more", "echo"), "one more")
        idle.close()
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "opened")
        self.assertEqual(busy.result("and more", "echo"), "and more")
        busy.close()
        self.assertEqual(runtime.ends()[0], 0)
        self.assertEqual(runtime.prints(), "after")

    def test_sigterm_does_not_wait_for_work_that_nobody_waits_for(self):
        runtime, busy, idle = self.begin_two()
        runtime.signal(signal.SIGTERM)
        runtime.says("outrigger: stopping")
        idle.close()
        busy.close()
        self.assertEqual(runtime.ends()[0], 0)

    def test_a_second_sigterm_ends_at_once(self):
        runtime, busy, _ = self.begin_two()
        runtime.signal(signal.SIGTERM)
        runtime.says("outrigger: stopping")
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.ends()[0], 143)
        self.assertTrue(busy.ended())

    def test_sigint_closes_what_is_idle_and_finishes_what_runs(self):
        runtime, busy, idle = self.begin_two()
        runtime.signal(signal.SIGINT)
        self.assertTrue(idle.ended())
        self.assertTrue(busy.quiet())
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "opened")
        self.assertTrue(busy.ended())
        self.assertEqual(runtime.ends()[0], 0)

    def test_a_second_sigint_ends_at_once(self):
        runtime, _, idle = self.begin_two()
        runtime.signal(signal.SIGINT)
        self.assertTrue(idle.ended())
        runtime.signal(signal.SIGINT)
        self.assertEqual(runtime.ends()[0], 130)


class Lifeline:
    def test_the_end_of_an_inherited_pipe_ends_the_runtime_at_work(self):
        reading, writing = os.pipe()
        environment = {"OUTRIGGER_HANDLER_LIFELINE": str(reading)}
        runtime = self.probing(environment=environment, pass_fds=[reading])
        os.close(reading)
        peer = self.begin(runtime, "gate", self.gate())
        os.close(writing)
        self.assertTrue(peer.ended())
        code, said = runtime.ends()
        self.assertEqual(code, 1)
        self.assertIn("the parent process has gone", said)

    def test_stdin_may_be_the_pipe_and_the_handler_does_not_read_from_it(self):
        runtime = self.probing(environment={"OUTRIGGER_HANDLER_LIFELINE": "0"}, stdin=subprocess.PIPE)
        self.assertEqual(self.connect(runtime).result(None, "stdin"), "")
        runtime.process.stdin.close()
        self.assertEqual(runtime.ends()[0], 1)

    def test_what_the_handler_has_started_goes_too_where_the_group_is_its_own(self):
        environment = {"OUTRIGGER_HANDLER_LIFELINE": "0"}
        runtime = self.probing(environment=environment, stdin=subprocess.PIPE, start_new_session=True)
        child = self.connect(runtime).result(None, "spawn")
        self.addCleanup(end, child)
        self.assertTrue(is_alive(child))
        runtime.process.stdin.close()
        self.assertEqual(runtime.process.wait(PATIENCE), -signal.SIGKILL)
        wait_until("what it started has gone", lambda: not is_alive(child))

    def test_a_lifeline_that_is_not_open_is_said(self):
        for number in ("999", "x", "-1"):
            code, said = self.launch(self.probe, {"OUTRIGGER_HANDLER_LIFELINE": number}).ends()
            self.assertEqual(code, 78)
            self.assertIn(f"OUTRIGGER_HANDLER_LIFELINE={number} is not", said)
