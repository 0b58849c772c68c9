"""Signals, the lifeline, and what a forked child must not do."""

import os
import signal
import subprocess

from .support import RuntimeCase

GATED = """
    def process(payload, ctx):
        if payload == "work":
            ctx.progress(message="begun")
            with open("gate"): pass
        return payload
"""


class Signals(RuntimeCase):
    def begin(self):
        """A runtime with one call under way and one idle connection; the gate lets the call end."""
        os.mkfifo(os.path.join(self.folder, "gate"))
        runtime = self.start(GATED, concurrency=2)
        busy, idle = self.connect(runtime), self.connect(runtime)
        busy.request("work")
        busy.reply()
        return runtime, busy, idle

    def open_gate(self):
        """Lets the call end."""
        with open(os.path.join(self.folder, "gate"), "w"):
            pass

    def test_sigterm_without_connections_ends_at_once(self):
        runtime = self.start(GATED)
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.ends()[0], 0)
        self.assertFalse(os.path.exists(runtime.path))

    def test_sigterm_serves_on_until_the_peers_have_closed(self):
        runtime, busy, idle = self.begin()
        runtime.signal(signal.SIGTERM)
        runtime.says("outrigger: stopping")
        self.assertFalse(os.path.exists(runtime.path))
        self.assertEqual(idle.call("one more")["result"], "one more")
        idle.close()
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "work")
        self.assertEqual(busy.call("and more")["result"], "and more")
        busy.close()
        self.assertEqual(runtime.ends()[0], 0)

    def test_sigterm_does_not_wait_for_work_that_nobody_waits_for(self):
        runtime, busy, idle = self.begin()
        runtime.signal(signal.SIGTERM)
        runtime.says("outrigger: stopping")
        idle.close()
        busy.close()
        self.assertEqual(runtime.ends()[0], 0)

    def test_a_second_sigterm_ends_at_once(self):
        runtime, busy, _ = self.begin()
        runtime.signal(signal.SIGTERM)
        runtime.says("outrigger: stopping")
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.ends()[0], 143)
        self.assertTrue(busy.ended())

    def test_sigint_closes_what_is_idle_and_finishes_what_runs(self):
        runtime, busy, idle = self.begin()
        runtime.signal(signal.SIGINT)
        self.assertTrue(idle.ended())
        self.assertTrue(busy.quiet())
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "work")
        self.assertTrue(busy.ended())
        self.assertEqual(runtime.ends()[0], 0)

    def test_a_second_sigint_ends_at_once(self):
        runtime, _, idle = self.begin()
        runtime.signal(signal.SIGINT)
        self.assertTrue(idle.ended())
        runtime.signal(signal.SIGINT)
        self.assertEqual(runtime.ends()[0], 130)

    def test_async_work_that_nobody_waits_for_is_canceled_on_the_way_out(self):
        source = """
            import asyncio
            async def linger():
                try: await asyncio.Event().wait()
                finally: print("cleaned up")
            async def process(payload):
                asyncio.get_running_loop().create_task(linger())
                await asyncio.sleep(0)
        """
        runtime = self.start(source)
        peer = self.connect(runtime)
        peer.call(None)
        peer.close()
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.prints(), "cleaned up")
        self.assertEqual(runtime.ends()[0], 0)


class Lifeline(RuntimeCase):
    def test_the_end_of_an_inherited_pipe_ends_the_runtime_at_work(self):
        reading, writing = os.pipe()
        os.mkfifo(os.path.join(self.folder, "gate"))
        environment = {"OUTRIGGER_HANDLER_LIFELINE": str(reading)}
        runtime = self.start(GATED, environment=environment, pass_fds=[reading])
        os.close(reading)
        peer = self.connect(runtime)
        peer.request("work")
        peer.reply()
        os.close(writing)
        self.assertTrue(peer.ended())
        code, said = runtime.ends()
        self.assertEqual(code, 1)
        self.assertIn("the parent process has gone", said)

    def test_stdin_may_be_the_pipe_and_the_handler_does_not_read_from_it(self):
        source = """
            import os, sys
            def process(payload): return [sys.stdin.read(), os.environ.get("OUTRIGGER_HANDLER_LIFELINE")]
        """
        runtime = self.start(source, environment={"OUTRIGGER_HANDLER_LIFELINE": "0"}, stdin=subprocess.PIPE)
        self.assertEqual(self.connect(runtime).call(None)["result"], ["", None])
        runtime.process.stdin.close()
        self.assertEqual(runtime.ends()[0], 1)

    def test_what_the_handler_has_started_goes_too_where_the_group_is_its_own(self):
        source = """
            import subprocess
            def process(payload): subprocess.Popen(["sleep", "1000"])
        """
        environment = {"OUTRIGGER_HANDLER_LIFELINE": "0"}
        runtime = self.start(source, environment=environment, stdin=subprocess.PIPE, start_new_session=True)
        self.connect(runtime).call(None)
        runtime.process.stdin.close()
        # The child holds the other end of stdout: it reads its end only when both have gone.
        self.assertEqual(runtime.process.stdout.read(), "")
        self.assertEqual(runtime.ends()[0], -signal.SIGKILL)

    def test_a_lifeline_that_is_not_open_is_said(self):
        self.put("handler.py", GATED)
        runtime = self.launch(["-m", "outrigger", "handler.py"], {"OUTRIGGER_HANDLER_LIFELINE": "999"})
        code, said = runtime.ends()
        self.assertEqual(code, 78)
        self.assertIn("OUTRIGGER_HANDLER_LIFELINE=999", said)


class Forked(RuntimeCase):
    SOURCE = """
        import os, signal
        def process(payload):
            if payload == "fork":
                ready, told = os.pipe()
                child = os.fork()
                if child == 0:
                    os.write(told, b"!")
                    while True: signal.pause()
                os.read(ready, 1)
                return child
            if isinstance(payload, int):
                return os.WTERMSIG(os.waitpid(payload, 0)[1])
            return payload
    """

    def fork(self):
        """A runtime, a connection, and the process that its handler has forked."""
        runtime = self.start(self.SOURCE)
        peer = self.connect(runtime)
        child = peer.call("fork")["result"]
        self.addCleanup(self.kill, child)
        return runtime, peer, child

    def kill(self, child):
        """Ends the child where it still is."""
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_a_forked_child_keeps_no_connection_open(self):
        runtime, peer, _ = self.fork()
        runtime.process.kill()
        self.assertTrue(peer.ended())

    def test_a_signal_to_a_forked_child_ends_the_child_and_not_the_runtime(self):
        runtime, peer, child = self.fork()
        os.kill(child, signal.SIGTERM)
        self.assertEqual(peer.call(child)["result"], signal.SIGTERM)
        # A listener that had been told to stop would let nobody in any more.
        self.assertEqual(self.connect(runtime).call("still here")["result"], "still here")
