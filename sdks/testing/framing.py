"""Suites of frames as bytes: large, split, joined, and broken in every way."""

import json
import struct


class Framing:
    def only_echo(self):
        """A peer whose every request is given back."""
        return self.connect(self.probing(only="echo"))

    def test_a_frame_may_come_byte_by_byte(self):
        peer = self.only_echo()
        body = b'{"k":[1,2]}'
        for byte in struct.pack(">I", len(body)) + body:
            peer.sock.sendall(bytes([byte]))
        self.assertEqual(peer.reply()["result"], {"k": [1, 2]})

    def test_many_frames_may_come_at_once(self):
        peer = self.only_echo()
        bodies = [json.dumps("x" * size).encode() for size in (0, 1, 10, 20000, 40000, 65534, 65535, 70000, 3)]
        peer.sock.sendall(b"".join(struct.pack(">I", len(body)) + body for body in bodies))
        for body in bodies:
            self.assertEqual(peer.frame(), (False, b'{"status":"ok","result":' + body + b"}"))

    def test_twenty_megabytes_go_there_and_back(self):
        peer = self.only_echo()
        body = json.dumps({"data": "é" * 10_000_000}, ensure_ascii=False, separators=(",", ":")).encode()
        self.assertGreater(len(body), 20_000_000)
        peer.write(body)
        control, reply = peer.frame()
        self.assertFalse(control)
        self.assertTrue(reply == b'{"status":"ok","result":' + body + b"}")

    def test_a_large_stream_of_parts_and_a_ping_after_it(self):
        peer = self.connect(self.probing())
        peer.request(None, function="pieces")
        self.assertEqual({len(peer.reply()["data"]) for _ in range(20)}, {300000})
        self.assertEqual(peer.reply(), {"status": "ok"})
        peer.control({"ping": 2})
        self.assertEqual(peer.pong(), 2)


class Broken:
    def refused(self, peer, body, code, fragment):
        """Sends a bad request; the connection must live on."""
        peer.write(body)
        reply = peer.reply()
        self.assertEqual((reply["status"], reply["error"], reply["retryable"]), ("error", code, False))
        self.assertIn(fragment, reply["message"])
        self.assertEqual(peer.call("after"), {"status": "ok", "result": "after"})

    def test_a_request_that_is_not_json_is_refused(self):
        peer = self.connect(self.probing(only="echo"))
        for body, fragment in (
            (b"{oops", "not JSON"),
            (b"", "it is empty"),
            (b"NaN", "NaN is not JSON"),
            (b"[1] 2", "not JSON"),
            (b'"\xff"', "not UTF-8 at byte 1"),
            (b'"\xed\xa0\x80"', "not UTF-8 at byte 1"),
            (b'"\xc0\x80"', "not UTF-8 at byte 1"),
            (b'"abc\xf0\x9f\x98"', "not UTF-8 at byte 4"),
            (b"[" * 60000, "nested too deeply"),
        ):
            with self.subTest(body[:10]):
                self.refused(peer, body, "invalid_request", fragment)

    def test_what_is_nested_deeply_is_served(self):
        peer = self.connect(self.probing(only="echo"))
        body = b"[" * 900 + b"]" * 900
        peer.write(body)
        self.assertEqual(peer.frame()[1], b'{"status":"ok","result":' + body + b"}")

    def test_a_meta_does_not_outlive_the_bad_request_it_came_with(self):
        peer = self.connect(self.probing(only="context"))
        peer.control({"meta": {"id": "first"}})
        peer.write(b"oops")
        self.assertEqual(peer.reply()["error"], "invalid_request")
        self.assertEqual(peer.result(None)["id"], "")

    def test_a_request_over_the_cap_is_refused_and_passed_over(self):
        peer = self.connect(self.probing(only="echo", max_frame=1000))
        self.refused(peer, b"x" * 1001, "frame_too_large", "1001 bytes is more than the cap of 1000")
        self.refused(peer, b"x" * 5_000_000, "frame_too_large", "5000000 bytes")

    def test_a_result_over_the_cap_is_an_error(self):
        peer = self.connect(self.probing(only="repeat", max_frame=1000))
        reply = peer.call(1000)
        self.assertEqual((reply["error"], reply["retryable"]), ("result_too_large", False))
        self.assertIn("1027 bytes, more than the cap of 1000", reply["message"])
        self.assertEqual(len(peer.result(900)), 900)

    def test_a_report_over_the_cap_is_the_handlers_error(self):
        peer = self.connect(self.probing(max_frame=1000))
        self.assertIn("more than the cap of 1000", peer.call(None, "pieces")["message"])

    def test_a_frame_cut_short_ends_its_connection_only(self):
        runtime = self.probing(only="echo")
        other = self.connect(runtime)
        for piece in (b"\0\0", struct.pack(">I", 10) + b"abc", struct.pack(">I", 100000) + b"abc"):
            peer = self.connect(runtime)
            peer.sock.sendall(piece)
            peer.close()
            runtime.says("outrigger: a connection was given up: the connection ended ")
        self.assertEqual(other.result(1), 1)

    def test_control_frames_that_make_no_sense_end_the_connection(self):
        runtime = self.probing(only="echo")
        for body in (b"oops", b"[1]", b'{"meta":3}', b"", b"\xff"):
            with self.subTest(body):
                peer = self.connect(runtime)
                peer.write(body, control=True)
                self.assertTrue(peer.ended())
                runtime.says("outrigger: a connection was given up: ")
        self.assertEqual(self.connect(runtime).result(1), 1)
