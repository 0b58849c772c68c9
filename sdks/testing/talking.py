"""Suites of what stands in the frames: hello, ping, meta, replies of every kind, and errors."""

import json

NAMES = (
    "echo nothing fan_out one fail retry crash steps stream context slow wait cancellations bad_result".split()
)


class Hello:
    def test_hello_is_the_first_frame_and_names_the_functions(self):
        functions = self.knock(self.conforming()).hello()
        self.assertEqual([function["name"] for function in functions], NAMES)
        self.assertEqual([f["name"] for f in functions if f.get("streaming")], ["stream"])

    def test_hello_has_nothing_more_than_it_needs(self):
        frame = self.knock(self.probing(only="seen")).frame()
        self.assertEqual(frame, (True, b'{"hello":{"protocol":1,"functions":[{"name":"seen","args":[{"name":"payload"}]}]}}'))

    def test_ping_is_answered_with_its_own_number(self):
        peer = self.connect(self.conforming())
        for number in (1, 0, 4294967296, 18446744073709551615):
            peer.control({"ping": number})
            self.assertEqual(peer.pong(), number)

    def test_control_frames_of_a_later_protocol_are_passed_over(self):
        peer = self.connect(self.conforming())
        peer.control({"weather": "fine"})
        self.assertEqual(peer.call(1, "echo"), {"status": "ok", "result": 1})

    def test_an_empty_connection_is_not_an_error(self):
        runtime = self.conforming()
        self.knock(runtime).close()
        self.assertEqual(self.connect(runtime).result(7, "echo"), 7)


class Meta:
    def test_meta_reaches_the_context_of_the_next_request_only(self):
        peer = self.connect(self.probing(only="context", environment={"OUTRIGGER_ACTOR": "clean"}))
        meta = {"id": "m1", "actor": "other", "attempt": 3, "headers": {"k": [1]}, "unknown": {}}
        told = peer.result(None, deadline="2030-01-02T03:04:05Z", input="payload", **meta)
        expected = {"id": "m1", "actor": "other", "attempt": 3, "headers": {"k": [1]}, "function": None}
        self.assertEqual(told, {**expected, "deadline": "2030-01-02T03:04:05Z"})
        plain = {"id": "", "actor": "clean", "attempt": 1, "headers": {}, "deadline": None, "function": None}
        self.assertEqual(peer.result(None), plain)

    def test_deadlines_are_read_as_rfc_3339_has_them(self):
        peer = self.connect(self.conforming())
        expected = {
            "2030-01-02T03:04:05Z": "2030-01-02T03:04:05Z",
            "2030-01-02t03:04:05.25z": "2030-01-02T03:04:05.250Z",
            "2030-01-02T03:04:05+02:30": "2030-01-02T00:34:05Z",
            "2030-12-31T23:59:60Z": "2031-01-01T00:00:00Z",
            "2024-02-29T00:00:00-00:30": "2024-02-29T00:30:00Z",
            "2030-02-30T00:00:00Z": None,
            "2030-01-02 03:04": None,
            "tomorrow": None,
        }
        for spelled, read in expected.items():
            with self.subTest(spelled):
                self.assertEqual(peer.result(None, "context", deadline=spelled)["deadline"], read)
        self.assertIsNone(peer.result(None, "context", deadline=5)["deadline"])

    def test_a_ping_between_meta_and_request_takes_nothing_away(self):
        peer = self.connect(self.conforming())
        peer.control({"meta": {"id": "m2", "function": "context"}})
        peer.control({"ping": 5})
        self.assertEqual(peer.pong(), 5)
        self.assertEqual(peer.result(None)["id"], "m2")

    def test_meta_chooses_one_of_several_functions(self):
        peer = self.connect(self.conforming())
        self.assertEqual(peer.call(0, "echo"), {"status": "ok", "result": 0})
        self.assertEqual(peer.call(0, "nothing"), {"status": "ok"})
        for meta in ({"function": "c"}, {}):
            refused = peer.call(0, **meta)
            self.assertEqual((refused["error"], refused["retryable"]), ("unknown_function", False))
            self.assertIn("serves echo, nothing", refused["message"])

    def test_a_single_function_serves_every_name(self):
        peer = self.connect(self.probing(only="repeat"))
        self.assertEqual(peer.call(1, "whatever"), {"status": "ok", "result": "x"})


class Replies:
    def exchange(self, peer, body, function):
        """One exchange in bytes."""
        peer.control({"meta": {"function": function}})
        peer.write(body)
        control, reply = peer.frame()
        self.assertFalse(control)
        return reply

    def test_results_keep_what_the_protocol_makes_of_them(self):
        peer = self.connect(self.conforming())
        expected = [
            ("nothing", b"1", b'{"status":"ok"}'),
            ("fan_out", b'{"n":0}', b'{"status":"ok","result":[]}'),
            ("fan_out", b'{"n":3}', b'{"status":"ok","result":[0,1,2]}'),
            ("one", b"[1,2]", b'{"status":"ok","result":[[1,2]]}'),
            ("one", b"null", b'{"status":"ok","result":[null]}'),
            ("echo", b"[1,null,2]", b'{"status":"ok","result":[1,null,2]}'),
            ("echo", b"0", b'{"status":"ok","result":0}'),
            ("echo", b'{"b":1,"a":[{}]}', b'{"status":"ok","result":{"b":1,"a":[{}]}}'),
            ("echo", '"hé😀"'.encode(), '{"status":"ok","result":"hé😀"}'.encode()),
            ("echo", b'"h\\u00e9\\ud83d\\ude00"', '{"status":"ok","result":"hé😀"}'.encode()),
            ("echo", b'"\\ud800"', b'{"status":"ok","result":"\\ud800"}'),
            ("echo", b'"\\udc00\\ud800x"', b'{"status":"ok","result":"\\udc00\\ud800x"}'),
            ("echo", b'"\\u0000\\b\\f\\n\\r\\t\\u001f\\"\\\\\\/"', b'{"status":"ok","result":"\\u0000\\b\\f\\n\\r\\t\\u001f\\"\\\\/"}'),
        ]
        for function, asked, frame in expected:
            with self.subTest(function=function, asked=asked):
                self.assertEqual(self.exchange(peer, asked, function), frame)

    def test_numbers_lose_nothing(self):
        peer = self.connect(self.conforming())
        for spelled in (
            "9223372036854775807 -9223372036854775808 9223372036854775808 18446744073709551616 "
            "123456789012345678901234567890 0.1 -2.5 3.141592653589793238462643383279 1.7976931348623157e+309"
        ).split():
            with self.subTest(spelled):
                reply = self.exchange(peer, spelled.encode(), "echo")
                self.assertEqual(reply.lower(), b'{"status":"ok","result":' + spelled.encode() + b"}")

    def test_a_null_or_empty_payload_is_a_payload(self):
        peer = self.connect(self.conforming())
        self.assertEqual(peer.call([], "echo"), {"status": "ok", "result": []})
        self.assertEqual(peer.call({}, "echo"), {"status": "ok", "result": {}})
        self.assertIsNone(peer.call(None, "echo").get("result"))

    def test_a_result_without_a_json_form_is_an_error_that_says_where(self):
        reply = self.connect(self.conforming()).call(None, "bad_result")
        self.assertEqual((reply["status"], reply["error"], reply["retryable"]), ("error", "invalid_result", False))
        self.assertRegex(reply["message"], r"^the handler's result cannot be sent: .+ at \$\.nan\[1\] is not JSON$")

    def test_interim_frames_come_in_order_before_the_final_one(self):
        peer = self.connect(self.conforming())
        for _ in range(2):
            peer.request(None, function="steps")
            expected = [
                {"status": "progress", "percent": 50, "message": "half"},
                {"status": "partial", "data": {"n": 1}},
                {"status": "heartbeat"},
                {"status": "ok", "result": {"done": True}},
            ]
            self.assertEqual([peer.reply() for _ in expected], expected)

    def test_progress_is_a_percentage_a_message_or_both(self):
        peer = self.connect(self.probing())
        peer.request(None, function="progress")
        expected = [
            b'{"status":"progress","percent":25}',
            b'{"status":"progress","message":"half"}',
            b'{"status":"progress","percent":75.5,"message":"more"}',
            b'{"status":"ok"}',
        ]
        self.assertEqual([peer.frame() for _ in expected], [(False, frame) for frame in expected])

    def test_a_stream_is_its_items_and_then_its_result(self):
        peer = self.connect(self.conforming())
        for count in (3, 0):
            peer.request({"n": count}, function="stream")
            expected = [*({"status": "partial", "data": {"n": n}} for n in range(count))]
            expected.append({"status": "ok", "result": {"count": count}})
            self.assertEqual([peer.reply() for _ in expected], expected)

    def test_a_context_is_silent_after_the_final_frame(self):
        peer = self.connect(self.probing())
        self.assertEqual(peer.call(None, "late"), {"status": "ok"})
        self.assertIn("this call has ended", peer.result(None, "late"))


class Errors:
    def test_an_exception_is_a_record_with_type_and_message(self):
        error = self.connect(self.conforming()).call(None, "crash")
        self.assertEqual((error["status"], error["message"]), ("error", "boom"))
        self.assertRegex(error["type"], self.crash_type)
        self.assertNotIn("retryable", error)
        self.assertNotIn("error", error)

    def test_fail_is_terminal_and_names_its_code(self):
        peer = self.connect(self.conforming())
        error = peer.call({"code": "bad_image", "message": "not a png", "details": {"size": 3}}, "fail")
        self.assertEqual((error["error"], error["message"], error["retryable"]), ("bad_image", "not a png", False))
        self.assertEqual(error["details"], {"size": 3})
        self.assertNotIn("details", peer.call({"code": "c", "message": "m"}, "fail"))

    def test_retry_may_be_tried_again(self):
        peer = self.connect(self.conforming())
        busy = peer.call({"message": "busy", "after": 5}, "retry")
        self.assertEqual((busy["message"], busy["retryable"], busy["retry_after"]), ("busy", True, 5))
        self.assertNotIn("error", busy)
        self.assertEqual(peer.call({"message": "busy", "after": 0.25}, "retry")["retry_after"], 0.25)
        self.assertNotIn("retry_after", peer.call({"message": "busy"}, "retry"))

    def test_retry_may_name_a_code_and_details(self):
        named = self.connect(self.probing()).call("again", "error")
        self.assertEqual((named["error"], named["details"], named["retryable"]), ("slow", {"n": 1}, True))

    def test_a_message_is_never_empty(self):
        error = self.connect(self.probing()).call("bare", "error")
        self.assertEqual(error["message"], error["type"])

    def test_a_huge_message_is_cut_in_the_middle(self):
        message = self.connect(self.probing()).call("long", "error")["message"]
        self.assertLess(len(message), 20000)
        self.assertIn("83616 characters left out", message)

    def test_an_error_of_any_size_fits_under_the_cap(self):
        peer = self.connect(self.probing(max_frame=400))
        for kind in ("long", "again", "details"):
            peer.request(kind, function="error")
            control, body = peer.frame()
            self.assertFalse(control)
            self.assertLessEqual(len(body), 400)
            self.assertEqual(json.loads(body)["status"], "error")

    def test_details_without_a_json_form_do_not_hide_the_error(self):
        error = self.connect(self.probing()).call("odd details", "error")
        self.assertEqual((error["error"], error["message"]), ("odd", "of no matter"))
        self.assertIn("not JSON", error["details"])

    def test_a_handler_that_fails_serves_its_next_message(self):
        peer = self.connect(self.conforming())
        peer.call(None, "crash")
        self.assertEqual(peer.result("next", "echo"), "next")
