"""How much runs at once, and what a ping is told meanwhile."""

import os

from .support import RuntimeCase


class AtOnce(RuntimeCase):
    def exchange_all(self, runtime, count):
        """One request on each of `count` connections before any answer is read."""
        peers = [self.connect(runtime) for _ in range(count)]
        for number, peer in enumerate(peers):
            peer.request(number)
        return [peer.reply() for peer in peers]

    def test_plain_functions_run_as_many_at_once_as_allowed(self):
        source = """
            import threading
            together = threading.Barrier(4, timeout=20)
            def process(payload):
                together.wait()
                return payload
        """
        replies = self.exchange_all(self.start(source, concurrency=4), 4)
        self.assertEqual(replies, [{"status": "ok", "result": n} for n in range(4)])

    def test_async_functions_run_at_once_on_one_loop(self):
        source = """
            import asyncio, threading
            waiting, open_, loops = [], None, set()
            async def process(payload):
                global open_
                open_ = open_ or asyncio.Event()
                loops.add((threading.get_ident(), id(asyncio.get_running_loop())))
                waiting.append(payload)
                if len(waiting) == 8: open_.set()
                await asyncio.wait_for(open_.wait(), 20)
                return len(loops)
        """
        replies = self.exchange_all(self.start(source, concurrency=8), 8)
        self.assertEqual(replies, [{"status": "ok", "result": 1}] * 8)

    def test_never_more_run_at_once_than_allowed(self):
        source = """
            import threading
            lock, now, most = threading.Lock(), 0, 0
            pair = threading.Barrier(2, timeout=20)
            def process(payload):
                global now, most
                with lock:
                    now += 1
                    most = max(most, now)
                pair.wait()
                with lock: now -= 1
                return most
        """
        replies = self.exchange_all(self.start(source, concurrency=2), 8)
        self.assertEqual({reply["result"] for reply in replies}, {2})

    def test_the_default_is_one_at_a_time(self):
        source = """
            import threading
            lock = threading.Lock()
            def process(payload):
                if not lock.acquire(blocking=False): return "at once"
                sum(range(20000))
                lock.release()
                return "alone"
        """
        self.put("handler.py", source)
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        self.assertEqual({reply["result"] for reply in self.exchange_all(runtime, 6)}, {"alone"})

    def test_a_class_is_made_once_and_serves_all_connections(self):
        source = """
            class Model:
                made = 0
                def __init__(self):
                    Model.made += 1
                    print("loaded")
                def process(self, payload, ctx):
                    return [[Model.made, payload, ctx.id]]
        """
        runtime = self.start(source, concurrency=2)
        for number in range(3):
            self.assertEqual(self.connect(runtime).call(number, id="m")["result"], [[1, number, "m"]])
        self.assertEqual(runtime.prints(), "loaded")

    def test_a_class_with_an_async_call_works_too(self):
        source = """
            class Model:
                async def __call__(self, payload): return payload * 2
        """
        self.assertEqual(self.connect(self.start(source)).call(21)["result"], 42)


class Pings(RuntimeCase):
    SOURCE = """
        import threading
        release = threading.Event()
        def process(payload, ctx):
            if payload == "release":
                release.set()
                return
            ctx.progress(message="begun")
            release.wait(20)
            return payload
    """

    def test_a_ping_is_answered_while_another_connection_works(self):
        runtime = self.start(self.SOURCE)
        busy, other = self.connect(runtime), self.connect(runtime)
        busy.request("work")
        self.assertEqual(busy.reply()["message"], "begun")
        other.control({"ping": 1})
        self.assertEqual(other.pong(), 1)
        self.assertTrue(busy.quiet())

    def test_a_ping_waits_while_abandoned_calls_fill_every_place(self):
        source = """
            import os
            def process(payload, ctx):
                if payload == "next": return "served"
                ctx.progress(message="begun")
                while not ctx.canceled: os.sched_yield()
                print("canceled")
                with open("gate"): pass
                print("over")
        """
        runtime = self.start(source)
        gate = os.path.join(self.folder, "gate")
        os.mkfifo(gate)
        busy = self.connect(runtime)
        busy.request("work")
        busy.reply()
        busy.close()
        self.assertEqual(runtime.prints(), "canceled")
        other = self.connect(runtime)
        other.control({"ping": 1})
        self.assertTrue(other.quiet(0.5))
        with open(gate, "w"):
            pass
        self.assertEqual(runtime.prints(), "over")
        self.assertEqual(other.pong(), 1)
        self.assertEqual(other.call("next")["result"], "served")
