"""What stands in the frames: hello, ping, meta, replies of every kind."""

from .support import RuntimeCase


class Hello(RuntimeCase):
    def test_hello_is_the_first_frame_and_names_the_function(self):
        runtime = self.start("def process(payload): return payload")
        self.assertEqual(self.knock(runtime).frame(), (True, b'{"hello":{"protocol":1,"functions":[{"name":"process","args":[{"name":"payload"}]}]}}'))

    def test_generators_are_announced_as_streaming(self):
        runtime = self.start(
            """
            def one(payload): return 1
            def many(payload): yield 1
            async def more(payload): yield 1
            """,
            spec="handler.py:one,many,more",
        )
        expected = [{"name": "one"}, {"name": "many", "streaming": True}, {"name": "more", "streaming": True}]
        self.assertEqual(self.knock(runtime).hello(), expected)

    def test_ping_is_answered_with_its_own_number(self):
        peer = self.connect(self.start("def process(payload): return payload"))
        for number in (1, 0, 4294967296):
            peer.control({"ping": number})
            self.assertEqual(peer.pong(), number)

    def test_control_frames_of_a_later_protocol_are_passed_over(self):
        peer = self.connect(self.start("def process(payload): return payload"))
        peer.control({"weather": "fine"})
        self.assertEqual(peer.call(1), {"status": "ok", "result": 1})

    def test_an_empty_connection_is_not_an_error(self):
        runtime = self.start("def process(payload): return payload")
        self.knock(runtime).close()
        self.assertEqual(self.connect(runtime).call(7)["result"], 7)


class Meta(RuntimeCase):
    SOURCE = """
        def process(payload, ctx):
            return {"id": ctx.id, "actor": ctx.actor, "attempt": ctx.attempt, "headers": ctx.headers,
                    "deadline": ctx.deadline and ctx.deadline.isoformat(), "function": ctx.function}
    """

    def test_meta_reaches_the_context_of_the_next_request_only(self):
        peer = self.connect(self.start(self.SOURCE, environment={"OUTRIGGER_ACTOR": "clean"}))
        told = peer.call(
            None, id="m1", actor="other", attempt=3, headers={"k": [1]}, deadline="2030-01-02T03:04:05Z", input="payload"
        )
        expected = {"id": "m1", "actor": "other", "attempt": 3, "headers": {"k": [1]}, "function": None}
        self.assertEqual(told["result"], {**expected, "deadline": "2030-01-02T03:04:05+00:00"})
        plain = {"id": "", "actor": "clean", "attempt": 1, "headers": {}, "deadline": None, "function": None}
        self.assertEqual(peer.call(None)["result"], plain)

    def test_a_ping_between_meta_and_request_takes_nothing_away(self):
        peer = self.connect(self.start(self.SOURCE))
        peer.control({"meta": {"id": "m2"}})
        peer.control({"ping": 5})
        self.assertEqual(peer.pong(), 5)
        self.assertEqual(peer.call(None)["result"]["id"], "m2")

    def test_meta_chooses_one_of_several_functions(self):
        peer = self.connect(
            self.start("def a(p): return 'a'\ndef b(p): return 'b'\n", spec="handler.py:a,b"),
        )
        self.assertEqual(peer.call(0, function="b")["result"], "b")
        self.assertEqual(peer.call(0, function="a")["result"], "a")
        for meta in ({"function": "c"}, {}):
            refused = peer.call(0, **meta)
            self.assertEqual((refused["error"], refused["retryable"]), ("unknown_function", False))
            self.assertIn("serves a, b", refused["message"])

    def test_a_single_function_serves_every_name(self):
        peer = self.connect(self.start("def process(payload): return payload"))
        self.assertEqual(peer.call(1, function="whatever"), {"status": "ok", "result": 1})


class Replies(RuntimeCase):
    SOURCE = """
        import outrigger
        RESULTS = {"none": None, "empty": [], "list": [1, None, 2], "one": outrigger.One([1, 2]), "null": outrigger.One(None),
                   "tuple": (1, 2), "text": "h\\u00e9\\U0001f600", "zero": 0, "half": "\\ud800"}
        def process(payload): return RESULTS[payload]
    """

    def test_results_keep_what_the_protocol_makes_of_them(self):
        peer = self.connect(self.start(self.SOURCE))
        expected = {
            "none": b'{"status":"ok"}',
            "empty": b'{"status":"ok","result":[]}',
            "list": b'{"status":"ok","result":[1,null,2]}',
            "one": b'{"status":"ok","result":[[1,2]]}',
            "null": b'{"status":"ok","result":[null]}',
            "tuple": b'{"status":"ok","result":[1,2]}',
            "text": '{"status":"ok","result":"hé😀"}'.encode(),
            "zero": b'{"status":"ok","result":0}',
            "half": b'{"status":"ok","result":"\\ud800"}',
        }
        for asked, frame in expected.items():
            with self.subTest(asked):
                peer.request(asked)
                self.assertEqual(peer.frame(), (False, frame))

    def test_a_result_without_a_json_form_is_an_error_that_says_where(self):
        source = """
            def process(payload):
                loop = []
                loop.append(loop)
                return {"set": {"a": [1, {2}]}, "nan": [float("nan")], "inf": -float("inf"), "bytes": b"x",
                        "loop": loop, "key": {(1, 2): 3}}[payload]
        """
        peer = self.connect(self.start(source))
        expected = {
            "set": "a value of type set at $.a[1] is not JSON",
            "nan": "nan at $[0] is not JSON",
            "inf": "-inf at $ is not JSON",
            "bytes": "a value of type bytes at $ is not JSON",
            "loop": "it contains itself",
            "key": "a key of type tuple at $ is not JSON",
        }
        for asked, complaint in expected.items():
            with self.subTest(asked):
                message = f"the handler's result cannot be sent: {complaint}"
                refusal = {"status": "error", "error": "invalid_result", "message": message, "retryable": False}
                self.assertEqual(peer.call(asked), refusal)

    def test_interim_frames_come_in_order_before_the_final_one(self):
        source = """
            def process(payload, ctx):
                ctx.progress(25)
                ctx.progress(message="half")
                ctx.progress(75.5, "more")
                ctx.partial({"k": 1})
                ctx.heartbeat()
                return "done"
        """
        peer = self.connect(self.start(source))
        for _ in range(2):
            peer.request(None)
            frames = [peer.reply() for _ in range(6)]
            self.assertEqual(
                frames,
                [
                    {"status": "progress", "percent": 25},
                    {"status": "progress", "message": "half"},
                    {"status": "progress", "percent": 75.5, "message": "more"},
                    {"status": "partial", "data": {"k": 1}},
                    {"status": "heartbeat"},
                    {"status": "ok", "result": "done"},
                ],
            )

    def test_generators_stream_their_items_and_return_their_result(self):
        source = """
            import outrigger
            def plain(n):
                for i in range(n): yield i
                return {"sum": sum(range(n))}
            async def later(n):
                for i in range(n): yield i
                yield outrigger.Result("end")
                yield "never"
            def silent(n):
                yield n
        """
        peer = self.connect(self.start(source, spec="handler.py:plain,later,silent"))
        for name, final in (("plain", {"status": "ok", "result": {"sum": 3}}), ("later", {"status": "ok", "result": "end"})):
            peer.request(3, function=name)
            frames = [peer.reply() for _ in range(4)]
            self.assertEqual(frames, [*({"status": "partial", "data": i} for i in range(3)), final])
        peer.request(3, function="silent")
        self.assertEqual([peer.reply(), peer.reply()], [{"status": "partial", "data": 3}, {"status": "ok"}])

    def test_async_reports_come_in_order_before_the_result(self):
        source = """
            async def process(payload, ctx):
                for i in range(100): ctx.progress(i)
                return "done"
        """
        peer = self.connect(self.start(source))
        peer.request(None)
        self.assertEqual([peer.reply()["percent"] for _ in range(100)], list(range(100)))
        self.assertEqual(peer.reply(), {"status": "ok", "result": "done"})

    def test_a_context_is_silent_after_the_final_frame(self):
        source = """
            kept = []
            def process(payload, ctx):
                for old in kept:
                    try: old.progress(1)
                    except RuntimeError as error: return str(error)
                kept.append(ctx)
        """
        peer = self.connect(self.start(source))
        self.assertEqual(peer.call(None), {"status": "ok"})
        self.assertIn("this call has ended", peer.call(None)["result"])


class Errors(RuntimeCase):
    SOURCE = """
        import outrigger, sys, asyncio
        class Odd(Exception):
            def __str__(self): raise ValueError("no text")
        def boom(): raise ValueError("no such thing")
        def process(p):
            if p == "value": boom()
            if p == "bare": raise KeyError
            if p == "odd": raise Odd()
            if p == "retry": raise outrigger.Retry("busy", after=5)
            if p == "again": raise outrigger.Retry(code="slow", details={"n": 1})
            if p == "fail": raise outrigger.Fail("bad_image", "not a png", details={"size": 3})
            if p == "set": raise outrigger.Fail("odd", details={1, })
            if p == "exit": sys.exit(3)
            if p == "interrupt": raise KeyboardInterrupt
            if p == "cause":
                try: boom()
                except ValueError as e: raise RuntimeError("outer") from e
            if p == "long": raise ValueError("x" * 100000)
            return p
        async def later(p): return process(p)
        async def background(p):
            async def leave(): sys.exit(1)
            asyncio.get_running_loop().create_task(leave())
            await asyncio.sleep(0)
            return p
    """

    def serve(self):
        return self.connect(self.start(self.SOURCE, spec="handler.py:process,later,background"))

    def test_an_exception_becomes_type_message_and_a_traceback_of_the_users_frames(self):
        peer = self.serve()
        for function in ("process", "later"):
            error = peer.call("value", function=function)
            self.assertEqual((error["status"], error["type"], error["message"]), ("error", "ValueError", "no such thing"))
            self.assertEqual(set(error), {"status", "type", "message", "traceback"})
            lines = error["traceback"].splitlines()
            self.assertEqual(lines[0], "Traceback (most recent call last):")
            self.assertRegex(lines[1], r'handler\.py", line \d+, in (process|later)')
            self.assertEqual(lines[-1], "ValueError: no such thing")
            self.assertNotIn("outrigger/", error["traceback"])

    def test_a_message_is_never_empty(self):
        peer = self.serve()
        for asked, message in (("bare", "KeyError"), ("odd", "Odd"), ("interrupt", "KeyboardInterrupt")):
            self.assertEqual(peer.call(asked, function="process")["message"], message)

    def test_retry_may_be_tried_again(self):
        peer = self.serve()
        busy = peer.call("retry", function="process")
        self.assertEqual((busy["message"], busy["retryable"], busy["retry_after"]), ("busy", True, 5))
        self.assertNotIn("error", busy)
        again = peer.call("again", function="process")
        self.assertEqual((again["error"], again["details"], again["message"]), ("slow", {"n": 1}, "Retry"))
        self.assertNotIn("retry_after", again)

    def test_fail_is_terminal_and_names_its_code(self):
        peer = self.serve()
        error = peer.call("fail", function="process")
        self.assertEqual((error["error"], error["message"], error["retryable"]), ("bad_image", "not a png", False))
        self.assertEqual(error["details"], {"size": 3})
        self.assertEqual(peer.call("set", function="process")["details"], "{1}")

    def test_sys_exit_fails_its_own_message_only(self):
        peer = self.serve()
        for function in ("process", "later"):
            error = peer.call("exit", function=function)
            self.assertEqual((error["type"], error["message"]), ("SystemExit", "the handler called sys.exit(3)"))
        self.assertEqual(peer.call("x", function="background"), {"status": "ok", "result": "x"})
        self.assertEqual(peer.call("fine", function="later"), {"status": "ok", "result": "fine"})

    def test_a_cause_is_shown_too(self):
        trace = self.serve().call("cause", function="process")["traceback"]
        self.assertIn("ValueError: no such thing", trace)
        self.assertIn("RuntimeError: outer", trace)

    def test_a_huge_message_is_cut_in_the_middle(self):
        message = self.serve().call("long", function="process")["message"]
        self.assertLess(len(message), 20000)
        self.assertIn("83616 characters left out", message)
