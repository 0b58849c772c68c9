"""Suites of calls at work: how many run at once, what a ping is told meanwhile, and what cancels them."""

import os
import socket

from .runtime import wait_until


class AtOnce:
    def exchange_all(self, runtime, function, count):
        """One request on each of `count` connections before any answer is read."""
        peers = [self.connect(runtime) for _ in range(count)]
        for peer in peers:
            peer.request(None, function=function)
        return [peer.reply() for peer in peers]

    def test_as_many_run_at_once_as_allowed(self):
        # The call returns when four of them are there.
        replies = self.exchange_all(self.probing(concurrency=4), "together", 4)
        self.assertEqual(replies, [{"status": "ok", "result": "together"}] * 4)

    def test_never_more_run_at_once_than_allowed(self):
        # The calls leave in pairs, and tell how many there were at most.
        replies = self.exchange_all(self.probing(concurrency=2), "most", 8)
        self.assertEqual([reply["result"] for reply in replies], [2] * 8)

    def test_the_default_is_one_at_a_time(self):
        runtime = self.launch(self.probe).serving()
        busy = self.begin(runtime, "gate", self.gate())
        waiting = self.connect(runtime)
        waiting.request("later", function="seen")
        self.assertTrue(waiting.quiet(0.2))
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "opened")
        self.assertEqual(waiting.reply()["result"], ["later"])


class Pings:
    def test_a_ping_is_answered_while_another_connection_works(self):
        runtime = self.probing()
        busy = self.begin(runtime, "gate", self.gate())
        other = self.connect(runtime)
        other.control({"ping": 1})
        self.assertEqual(other.pong(), 1)
        self.assertTrue(busy.quiet())
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "opened")

    def test_a_ping_waits_while_abandoned_calls_fill_every_place(self):
        runtime = self.probing()
        self.begin(runtime, "abandoned", self.gate()).close()
        self.assertEqual(runtime.prints(), "canceled")
        other = self.connect(runtime)
        other.control({"ping": 1})
        self.assertTrue(other.quiet(0.3))
        self.open_gate()
        self.assertEqual(runtime.prints(), "over")
        self.assertEqual(other.pong(), 1)
        self.assertEqual(other.result("next", "seen"), ["next"])


class Cancel:
    def test_a_call_that_reports_is_canceled_by_its_next_report(self):
        runtime = self.conforming()
        counting = self.connect(runtime)
        for count in (1, 2):
            peer = self.connect(runtime)
            peer.request(None, function="wait")
            self.assertEqual(peer.reply(), {"status": "heartbeat"})
            peer.close()
            wait_until("it is counted", lambda: counting.result(None, "cancellations") == count)

    def test_a_call_that_only_looks_sees_it_in_its_context(self):
        runtime = self.probing()
        self.begin(runtime, "abandoned", self.gate()).close()
        self.assertEqual(runtime.prints(), "canceled")
        self.open_gate()
        self.assertEqual(runtime.prints(), "over")

    def test_a_stream_is_cut_off(self):
        runtime = self.probing()
        self.begin(runtime, "endless", None).close()
        self.assertEqual(runtime.prints(), "closed")
        self.assertEqual(self.connect(runtime).result("next", "seen"), ["next"])

    def test_a_request_that_still_waits_for_its_turn_is_never_begun(self):
        runtime = self.probing()
        busy = self.begin(runtime, "gate", self.gate())
        before = runtime.sockets()
        waiting = self.connect(runtime)
        waiting.request("dropped", function="seen")
        waiting.close()
        wait_until("it has let go of the connection", lambda: runtime.sockets() == before)
        self.open_gate()
        self.assertEqual(busy.reply()["result"], "opened")
        self.assertEqual(busy.result("next", "seen"), ["next"])

    def test_half_a_close_is_still_answered(self):
        runtime = self.conforming()
        peer = self.connect(runtime)
        peer.request({"ms": 50}, function="slow")
        peer.sock.shutdown(socket.SHUT_WR)
        reply = peer.reply()
        while reply == {"status": "heartbeat"}:
            reply = peer.reply()
        self.assertEqual(reply, {"status": "ok", "result": {"slept": 50}})
        self.assertTrue(peer.ended())

    def test_a_peer_that_sends_no_more_and_then_goes_cancels_too(self):
        runtime = self.probing()
        peer = self.begin(runtime, "abandoned", self.gate())
        peer.sock.shutdown(socket.SHUT_WR)
        peer.close()
        self.assertEqual(runtime.prints(), "canceled")
        self.open_gate()
        self.assertEqual(runtime.prints(), "over")

    def test_a_thousand_connections_leave_nothing_behind(self):
        runtime = self.conforming()
        self.connect(runtime).close()
        wait_until("only the listener is left", lambda: runtime.sockets() <= self.idle_sockets)
        for number in range(1000):
            peer = self.connect(runtime)
            self.assertEqual(peer.result(number, "echo"), number)
            peer.close()
        wait_until("only the listener is left", lambda: runtime.sockets() <= self.idle_sockets)
        self.assertLess(len(os.listdir(f"/proc/{runtime.process.pid}/task")), self.idle_threads)
