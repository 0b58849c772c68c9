"""Frames as bytes: large, split, joined, and broken in every way."""

import json
import struct

from .support import RuntimeCase

ECHO = "def process(payload): return payload"


class Framing(RuntimeCase):
    def test_a_frame_may_come_byte_by_byte(self):
        peer = self.connect(self.start(ECHO))
        body = b'{"k":[1,2]}'
        for byte in struct.pack(">I", len(body)) + body:
            peer.sock.sendall(bytes([byte]))
        self.assertEqual(peer.reply()["result"], {"k": [1, 2]})

    def test_many_frames_may_come_at_once(self):
        peer = self.connect(self.start(ECHO))
        bodies = [json.dumps("x" * size).encode() for size in (0, 1, 10, 20000, 40000, 65534, 65535, 70000, 3)]
        peer.sock.sendall(b"".join(struct.pack(">I", len(body)) + body for body in bodies))
        for body in bodies:
            self.assertEqual(peer.frame(), (False, b'{"status":"ok","result":' + body + b"}"))

    def test_twenty_megabytes_go_there_and_back(self):
        peer = self.connect(self.start(ECHO))
        body = json.dumps({"data": "é" * 10_000_000}, ensure_ascii=False, separators=(",", ":")).encode()
        self.assertGreater(len(body), 20_000_000)
        peer.write(body)
        control, reply = peer.frame()
        self.assertFalse(control)
        self.assertTrue(reply == b'{"status":"ok","result":' + body + b"}")

    def test_a_large_stream_of_parts_and_a_ping_after_it(self):
        source = """
            def process(payload):
                for _ in range(20): yield "x" * 300000
        """
        peer = self.connect(self.start(source))
        peer.request(None)
        self.assertEqual({len(peer.reply()["data"]) for _ in range(20)}, {300000})
        self.assertEqual(peer.reply(), {"status": "ok"})
        peer.control({"ping": 2})
        self.assertEqual(peer.pong(), 2)


class Broken(RuntimeCase):
    def refused(self, peer, body, code, fragment):
        """Sends a bad request; the connection must live on."""
        peer.write(body)
        reply = peer.reply()
        self.assertEqual((reply["status"], reply["error"], reply["retryable"]), ("error", code, False))
        self.assertIn(fragment, reply["message"])
        self.assertEqual(peer.call("after"), {"status": "ok", "result": "after"})

    def test_a_request_that_is_not_json_is_refused(self):
        peer = self.connect(self.start(ECHO))
        self.refused(peer, b"{oops", "invalid_request", "not JSON")
        self.refused(peer, b"", "invalid_request", "it is empty")
        self.refused(peer, b"NaN", "invalid_request", "NaN is not JSON")
        self.refused(peer, b"[1] 2", "invalid_request", "not JSON")
        self.refused(peer, b'"\xff"', "invalid_request", "not UTF-8 at byte 1")
        self.refused(peer, b"[" * 60000, "invalid_request", "not JSON")

    def test_a_meta_does_not_outlive_the_bad_request_it_came_with(self):
        peer = self.connect(self.start("def process(payload, ctx): return ctx.id"))
        peer.control({"meta": {"id": "first"}})
        peer.write(b"oops")
        self.assertEqual(peer.reply()["error"], "invalid_request")
        self.assertEqual(peer.call(None)["result"], "")

    def test_a_request_over_the_cap_is_refused_and_passed_over(self):
        peer = self.connect(self.start(ECHO, arguments=["--max-frame", "1000"]))
        self.refused(peer, b"x" * 1001, "frame_too_large", "1001 bytes is more than the cap of 1000")
        self.refused(peer, b"x" * 5_000_000, "frame_too_large", "5000000 bytes")

    def test_a_result_over_the_cap_is_an_error(self):
        peer = self.connect(self.start("def process(n): return 'x' * n", arguments=["--max-frame", "1000"]))
        reply = peer.call(1000)
        self.assertEqual((reply["error"], reply["retryable"]), ("result_too_large", False))
        self.assertIn("1027 bytes, more than the cap of 1000", reply["message"])
        self.assertEqual(len(peer.call(900)["result"]), 900)

    def test_a_frame_cut_short_ends_its_connection_only(self):
        runtime = self.start(ECHO)
        other = self.connect(runtime)
        for piece in (b"\0\0", struct.pack(">I", 10) + b"abc", struct.pack(">I", 100000) + b"abc"):
            peer = self.connect(runtime)
            peer.sock.sendall(piece)
            peer.close()
            runtime.says("outrigger: a connection was given up: the connection ended ")
        self.assertEqual(other.call(1)["result"], 1)

    def test_control_frames_that_make_no_sense_end_the_connection(self):
        runtime = self.start(ECHO)
        for body in (b"oops", b"[1]", b'{"meta":3}', b"", b"\xff"):
            with self.subTest(body):
                peer = self.connect(runtime)
                peer.write(body, control=True)
                self.assertTrue(peer.ended())
                runtime.says("outrigger: a connection was given up: ")
        self.assertEqual(self.connect(runtime).call(1)["result"], 1)
