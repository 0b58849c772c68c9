"""The sidecar closing its connection cancels the work."""

import os
import socket

from .support import RuntimeCase


class Cancel(RuntimeCase):
    def begin(self, source, **options):
        """A runtime whose handler has begun, and the peer that asked for it."""
        runtime = self.start(source, **options)
        peer = self.connect(runtime)
        peer.request("work")
        self.assertEqual(peer.reply(), {"status": "progress", "message": "begun"})
        return runtime, peer

    def test_async_work_is_canceled(self):
        source = """
            import asyncio
            async def process(payload, ctx):
                if payload == "next": return "served"
                ctx.progress(message="begun")
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    print("canceled", ctx.canceled)
                    raise
        """
        runtime, peer = self.begin(source)
        peer.close()
        self.assertEqual(runtime.prints(), "canceled True")
        self.assertEqual(self.connect(runtime).call("next")["result"], "served")

    def test_a_plain_function_sees_it_in_its_context(self):
        source = """
            import os, outrigger
            def process(payload, ctx):
                if payload == "next": return "served"
                ctx.progress(message="begun")
                while not ctx.canceled: os.sched_yield()
                try:
                    ctx.heartbeat()
                except outrigger.Canceled:
                    print("stopped")
                    raise
        """
        runtime, peer = self.begin(source)
        peer.close()
        self.assertEqual(runtime.prints(), "stopped")
        self.assertEqual(self.connect(runtime).call("next")["result"], "served")

    def test_a_generator_is_closed(self):
        source = """
            def process(payload, ctx):
                ctx.progress(message="begun")
                try:
                    while True: yield "x" * 1000
                finally:
                    print("closed")
        """
        runtime, peer = self.begin(source)
        peer.close()
        self.assertEqual(runtime.prints(), "closed")

    def test_an_async_generator_is_closed(self):
        source = """
            async def process(payload, ctx):
                ctx.progress(message="begun")
                try:
                    while True: yield "x" * 1000
                finally:
                    print("closed")
        """
        runtime, peer = self.begin(source)
        peer.close()
        self.assertEqual(runtime.prints(), "closed")

    def test_a_request_that_still_waits_for_its_turn_is_never_begun(self):
        source = """
            import os
            seen = []
            def process(payload, ctx):
                seen.append(payload)
                if payload == "work":
                    ctx.progress(message="begun")
                    with open("gate"): pass
                return seen
        """
        os.mkfifo(os.path.join(self.folder, "gate"))
        runtime, peer = self.begin(source)
        waiting = self.connect(runtime)
        waiting.request("dropped")
        waiting.close()
        # Whoever is let in after an end is let in after that end was seen.
        self.connect(runtime)
        with open(os.path.join(self.folder, "gate"), "w"):
            pass
        self.assertEqual(peer.reply()["result"], ["work"])
        self.assertEqual(peer.call("next")["result"], ["work", "next"])

    def test_half_a_close_is_still_answered(self):
        runtime = self.start("def process(payload): return payload")
        peer = self.connect(runtime)
        peer.request("last")
        peer.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(peer.reply()["result"], "last")
        self.assertTrue(peer.ended())
