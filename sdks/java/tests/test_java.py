"""What is Java's own: kinds of results, stack traces, interrupts, JSON, settings in code."""

import subprocess

from testing.runtime import example

from . import SDK
from .support import JAVA, JavaCase, build, program


class Json(JavaCase):
    def test_json_is_read_and_written_as_the_standard_has_it(self):
        done = subprocess.run(program("dev.outrigger.JsonChecks"), capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "json: all well\n"), done.stderr)


class Results(JavaCase):
    def test_records_arrays_and_enums_have_a_json_form(self):
        peer = self.connect(self.probing())
        expected = {
            "record": {"x": 1, "ys": [0.5, 1e10], "none": None},
            "array": [1, 2],
            "arrays": [[0.5], [1, None], []],
            "enum": {"RED": "RED"},
        }
        for kind, value in expected.items():
            with self.subTest(kind):
                self.assertEqual(peer.result(kind, "kinds"), value)

    def test_what_has_none_is_refused_with_its_place(self):
        peer = self.connect(self.probing())
        expected = {
            "loop": "it contains itself",
            "bytes": "a value of type [B at $.raw is not JSON",
            "key": "a key of type java.lang.Integer at $[0] is not JSON",
            "object": "a value of type java.lang.Object at $[0] is not JSON",
        }
        for kind, complaint in expected.items():
            with self.subTest(kind):
                message = f"the handler's result cannot be sent: {complaint}"
                refusal = {"status": "error", "error": "invalid_result", "message": message, "retryable": False}
                self.assertEqual(peer.call(kind, "kinds"), refusal)

    def test_an_iterator_is_streamed_too(self):
        peer = self.connect(self.probing())
        peer.request("iterator", function="kinds")
        expected = [{"status": "partial", "data": "a"}, {"status": "partial", "data": "b"}, {"status": "ok", "result": "end"}]
        self.assertEqual([peer.reply() for _ in expected], expected)


class Errors(JavaCase):
    def test_a_traceback_has_the_users_frames_and_causes_only(self):
        trace = self.connect(self.probing()).call("cause", "error")["traceback"]
        self.assertTrue(trace.startswith("java.lang.IllegalStateException: outer\n\tat Probe.error(Probe.java:"), trace)
        self.assertIn("Caused by: java.io.IOException: inner", trace)
        self.assertNotIn("dev.outrigger", trace)
        self.assertNotIn("Thread.run", trace)

    def test_an_exception_without_a_text_is_named(self):
        error = self.connect(self.probing()).call("odd", "error")
        self.assertEqual((error["message"], error["type"]), ("Probe$Odd", "Probe$Odd"))

    def test_an_endless_recursion_fails_its_own_message_only(self):
        peer = self.connect(self.probing())
        self.assertEqual(peer.call("deep", "error")["type"], "java.lang.StackOverflowError")
        self.assertEqual(peer.result(1, "echo"), 1)

    def test_a_payload_of_another_type_is_an_error_that_says_so(self):
        error = self.connect(self.conforming()).call("no object", "fan_out")
        self.assertEqual(error["type"], "java.lang.ClassCastException")
        self.assertIn("java.lang.String cannot be cast", error["message"])


class Interrupts(JavaCase):
    def test_a_call_that_sleeps_is_interrupted_when_it_is_canceled(self):
        runtime = self.probing()
        self.begin(runtime, "sleep", None).close()
        self.assertEqual(runtime.prints(), "interrupted, canceled true")
        self.assertEqual(self.connect(runtime).result("next", "seen"), ["next"])

    def test_an_interrupt_of_the_handlers_own_neither_costs_the_connection_nor_reaches_the_next_call(self):
        peer = self.connect(self.probing())
        for _ in range(2):
            peer.request(None, function="interrupted")
            self.assertEqual([peer.reply(), peer.reply()], [{"status": "heartbeat"}, {"status": "ok", "result": True}])


class Embedded(JavaCase):
    def test_settings_in_code_go_first_and_an_interrupt_stops_it(self):
        command = [*program("Embedded"), self.in_folder("other")]
        runtime = self.launch(command, {"OUTRIGGER_HANDLER_CONCURRENCY": "7"})
        runtime.says(f"outrigger: serving a, b on {self.in_folder('other')}, 3 at once")
        self.assertEqual(runtime.prints(), "[{status=progress, percent=100}] 2 test true")
        self.assertEqual(runtime.prints(), "stopped")
        self.assertEqual(runtime.ends()[0], 0)

    def test_a_start_that_cannot_be_is_an_exception(self):
        runtime = self.launch([*program("Embedded"), self.in_folder("no/such")])
        self.assertEqual(runtime.prints(), "73 true")
        self.assertEqual(runtime.ends()[0], 0)


class Build(JavaCase):
    def test_what_is_newer_than_its_sources_is_left_as_it_is(self):
        before = (build() / "outrigger.jar").stat().st_mtime_ns
        build.cache_clear()
        self.assertEqual((build() / "outrigger.jar").stat().st_mtime_ns, before)


class Readme(JavaCase):
    def test_its_first_example_works_as_it_stands(self):
        with open(self.in_folder("Count.java"), "w", encoding="utf-8") as file:
            file.write(example(SDK / "README.md", "java"))
        runtime = self.start([*JAVA, "-cp", build() / "outrigger.jar", "Count.java"], 1)
        self.assertEqual(self.connect(runtime).result({"text": "three little words"}), {"words": 3})
