"""The parts that need no process: context, errors, signatures, JSON."""

import pickle
import struct
import threading
import unittest
from datetime import datetime, timedelta, timezone

import outrigger
from outrigger import frames, jsontext
from outrigger.context import parse_time
from outrigger.errors import StartError
from outrigger.functions import Function, collect
from outrigger.slots import Slots


class ContextForTests(unittest.TestCase):
    def test_a_handler_is_tested_without_a_queue(self):
        def process(payload, ctx):
            ctx.progress(50, "half")
            ctx.partial([1])
            ctx.heartbeat()
            return payload["n"] + ctx.attempt

        ctx = outrigger.Context(attempt=2, headers={"k": "v"})
        self.assertEqual(process({"n": 1}, ctx), 3)
        self.assertEqual(
            ctx.reported,
            [{"status": "progress", "percent": 50, "message": "half"}, {"status": "partial", "data": [1]}, {"status": "heartbeat"}],
        )

    def test_a_report_that_could_not_be_sent_is_refused_in_a_test_too(self):
        ctx = outrigger.Context()
        with self.assertRaisesRegex(ValueError, r"type set at \$\.data\.k"):
            ctx.partial({"k": {1}})
        with self.assertRaisesRegex(ValueError, "a percent, a message"):
            ctx.progress()
        self.assertEqual(ctx.reported, [])

    def test_cancel_shows_what_the_handler_then_meets(self):
        ctx, told = outrigger.Context(), []
        ctx._when_canceled(lambda: told.append("before"))
        self.assertFalse(ctx.canceled)
        ctx.cancel()
        ctx.cancel()
        ctx._when_canceled(lambda: told.append("after"))
        self.assertTrue(ctx.canceled)
        self.assertEqual(told, ["before", "after"])
        with self.assertRaises(outrigger.Canceled):
            ctx.heartbeat()
        self.assertFalse(issubclass(outrigger.Canceled, Exception))

    def test_remaining_counts_down_to_the_deadline(self):
        self.assertIsNone(outrigger.Context().remaining)
        now = datetime.now(timezone.utc)
        self.assertEqual(outrigger.Context(deadline=now - timedelta(seconds=1)).remaining, 0)
        left = outrigger.Context(deadline=now + timedelta(hours=1)).remaining
        self.assertTrue(3500 < left <= 3600)


class Times(unittest.TestCase):
    def test_rfc_3339_is_read(self):
        utc = timezone.utc
        for text, time in {
            "2030-01-02T03:04:05Z": datetime(2030, 1, 2, 3, 4, 5, tzinfo=utc),
            "2030-01-02t03:04:05.5z": datetime(2030, 1, 2, 3, 4, 5, 500000, tzinfo=utc),
            "2030-01-02T03:04:05.123456789Z": datetime(2030, 1, 2, 3, 4, 5, 123456, tzinfo=utc),
            "2030-01-02T03:04:05+05:30": datetime(2030, 1, 1, 21, 34, 5, tzinfo=utc),
            "2030-01-01T20:04:05-07:00": datetime(2030, 1, 2, 3, 4, 5, tzinfo=utc),
            "2016-12-31T23:59:60Z": datetime(2017, 1, 1, tzinfo=utc),
        }.items():
            with self.subTest(text):
                self.assertEqual(parse_time(text), time)

    def test_anything_else_is_no_time(self):
        for text in (None, 3, "", "tomorrow", "2030-01-02", "2030-13-02T03:04:05Z", "2030-01-02T03:04:05", "2030-01-02T03:04:05+99:99"):
            with self.subTest(text):
                self.assertIsNone(parse_time(text))


class Raising(unittest.TestCase):
    def test_retry_takes_seconds_or_a_timedelta(self):
        self.assertIsNone(outrigger.Retry("why").after)
        self.assertEqual(outrigger.Retry("why", after=1.5).after, 1.5)
        self.assertEqual(outrigger.Retry("why", after=timedelta(minutes=2)).after, 120)
        for wrong in (-1, float("nan"), float("inf")):
            with self.assertRaisesRegex(ValueError, "0 or more"):
                outrigger.Retry(after=wrong)

    def test_both_survive_a_process_pool(self):
        retry = pickle.loads(pickle.dumps(outrigger.Retry("why", after=5, code="c", details=[1])))
        self.assertEqual((str(retry), retry.after, retry.code, retry.details), ("why", 5, "c", [1]))
        fail = pickle.loads(pickle.dumps(outrigger.Fail("c", "why", details=[1])))
        self.assertEqual((str(fail), fail.code, fail.details), ("why", "c", [1]))

    def test_fail_needs_a_code(self):
        with self.assertRaisesRegex(ValueError, "bad_image"):
            outrigger.Fail("")
        self.assertEqual(str(outrigger.Fail("code")), "code")


class Signatures(unittest.TestCase):
    def test_the_context_is_passed_where_it_is_asked_for(self):
        class Box:
            def process(self, payload, ctx):
                return ctx

            def __call__(self, payload):
                return "no"

        for target, passed in (
            (lambda payload: "no", False),
            (lambda payload, ctx: ctx, True),
            (lambda payload, anything: anything, True),
            (lambda payload, ctx=None: ctx, True),
            (lambda payload, *, ctx: ctx, True),
            (lambda payload, size=3, ctx=None: ctx, True),
            (lambda payload, size=3: "no" if size == 3 else size, False),
            (lambda *args: "no" if len(args) == 1 else args, False),
            (lambda payload, **options: "no" if not options else options, False),
            (Box().process, True),
            (Box(), False),
        ):
            ctx = outrigger.Context()
            self.assertIs(Function("f", target).call(1, ctx), ctx if passed else "no")

    def test_names_must_differ(self):
        def process(payload):
            return payload

        with self.assertRaisesRegex(StartError, "same name"):
            collect([process, process])
        self.assertEqual(collect([{"a": process, "b": process}]).names(), ["a", "b"])
        with self.assertRaisesRegex(StartError, "a single function"):
            collect([process, print], name="x")
        with self.assertRaisesRegex(StartError, "nothing to serve"):
            collect([])


class Places(unittest.TestCase):
    def test_a_call_that_was_canceled_while_it_waited_gets_no_place(self):
        slots, first, second, given = Slots(1), outrigger.Context(), outrigger.Context(), []
        self.assertTrue(slots.enter(first))
        waiting = threading.Thread(target=lambda: given.append(slots.enter(second)))
        waiting.start()
        second.cancel()
        waiting.join(20)
        self.assertEqual(given, [False])
        slots.leave(first)
        self.assertTrue(slots.enter(outrigger.Context()))

    def test_an_abandoned_call_keeps_its_place_and_a_full_house_of_them_serves_nobody(self):
        slots, abandoned, looked = Slots(1), outrigger.Context(), threading.Semaphore(0)
        slots.enter(abandoned)
        slots.wait_serving(lambda: False)
        abandoned.cancel()
        waiting = threading.Thread(target=slots.wait_serving, args=[lambda: bool(looked.release())])
        waiting.start()
        # It looks a second time only if the first look made it wait.
        for _ in range(2):
            self.assertTrue(looked.acquire(timeout=20))
            slots.wake()
        slots.leave(abandoned)
        waiting.join(20)
        self.assertFalse(waiting.is_alive())


class Writing(unittest.TestCase):
    def test_a_socket_that_takes_little_at_a_time_gets_everything_in_order(self):
        class Stingy:
            taken = b""

            def sendmsg(self, parts):
                piece = b"".join(parts)[:7919]
                self.taken += piece
                return len(piece)

        sock, parts = Stingy(), [b"<", bytes(range(256)) * 400, b"", b">"]
        frames.send(sock, parts)
        self.assertEqual(sock.taken, struct.pack(">I", 102402) + b"".join(parts))


class Json(unittest.TestCase):
    def test_values_survive_both_ways(self):
        for value in (None, True, 0, -1.5, 10**30, "é😀\x00\"\\", [], {"a": [{}]}, "\ud800"):
            self.assertEqual(jsontext.decode(jsontext.encode(value).decode()), value)

    def test_what_is_not_json_is_refused(self):
        for text in ("", "NaN", "Infinity", "-Infinity", "[1,]", "'a'", "{1:2}", "1 2", "[" * 100000):
            with self.subTest(text[:10]), self.assertRaises(jsontext.NotJson):
                jsontext.decode(text)

    def test_depth_is_an_error_and_no_crash(self):
        deep = []
        for _ in range(100000):
            deep = [deep]
        with self.assertRaisesRegex(jsontext.NotJson, "too deeply"):
            jsontext.encode(deep)


class Values(unittest.TestCase):
    def test_values_compare_and_show_themselves(self):
        self.assertEqual(outrigger.One([1]), outrigger.One([1]))
        self.assertNotEqual(outrigger.One([1]), [1])
        self.assertEqual(repr(outrigger.One([1])), "One([1])")
        self.assertEqual(outrigger.Result(1), outrigger.Result(1))
        self.assertNotEqual(outrigger.Result(1), outrigger.One(1))


if __name__ == "__main__":
    unittest.main()
