"""What is C++'s own: JSON, types of exceptions, threads of a handler's, forks, settings in code."""

import os
import signal
import subprocess

from testing.runtime import end, example

from . import SDK
from .support import WARNINGS, CppCase, build


class Json(CppCase):
    def test_json_and_times_are_read_and_written_as_their_standards_have_them(self):
        done = subprocess.run([build() / "json_checks"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "json: all well\n"), done.stderr)


class Results(CppCase):
    def test_what_converts_to_json_is_a_result(self):
        peer = self.connect(self.probing())
        for kind, value in {"string": "text", "bool": True, "number": -0.5}.items():
            self.assertEqual(peer.result(kind, "kinds"), value)

    def test_what_has_no_json_form_is_refused_with_its_place(self):
        peer = self.connect(self.probing())
        for kind, complaint in {"latin": "a text that is not UTF-8 at $.a[1] is not JSON", "deep": "it is nested too deeply"}.items():
            error = peer.call(kind, "kinds")
            self.assertEqual(error["error"], "invalid_result")
            self.assertEqual(error["message"], f"the handler's result cannot be sent: {complaint}")

    def test_threads_of_the_handlers_own_may_report(self):
        peer = self.connect(self.probing())
        peer.request(None, function="crowd")
        told = sorted(peer.reply()["data"] for _ in range(200))
        self.assertEqual(told, sorted(list(range(50)) * 4))
        self.assertEqual(peer.reply(), {"status": "ok"})

    def test_a_function_that_takes_a_stream_is_announced_as_streaming(self):
        functions = self.knock(self.probing()).hello()
        self.assertEqual([f["name"] for f in functions if f.get("streaming")], ["pieces"])


class Errors(CppCase):
    def test_anything_thrown_is_an_error_with_its_type(self):
        peer = self.connect(self.probing())
        expected = {
            "odd": ("(anonymous namespace)::Odd", "an exception that is no std::exception"),
            "bare": ("(anonymous namespace)::Bare", "(anonymous namespace)::Bare"),
            "text": ("char const*", "a bare text"),
            "latin": ("std::runtime_error", "caf?"),
            "again": ("outrigger::Retry", "not yet"),
            "canceled": ("outrigger::Canceled", "the sidecar has closed the connection"),
        }
        for kind, (name, message) in expected.items():
            with self.subTest(kind):
                error = peer.call(kind, "error")
                self.assertEqual((error["type"], error["message"]), (name, message))

    def test_a_payload_of_another_kind_is_an_error_that_says_so(self):
        error = self.connect(self.conforming()).call({"code": 1, "message": "m"}, "fail")
        self.assertEqual((error["type"], error["message"]), ("outrigger::JsonError", "expected a string, found a number"))


class Forked(CppCase):
    def test_a_signal_to_a_forked_child_ends_the_child_and_not_the_runtime(self):
        runtime = self.probing()
        peer = self.connect(runtime)
        child = peer.result(None, "fork")
        self.addCleanup(end, child)
        os.kill(child, signal.SIGTERM)
        self.assertEqual(peer.result(child, "fork"), signal.SIGTERM)
        # A listener that had been told to stop would let nobody in any more.
        self.assertEqual(self.connect(runtime).result("still here", "echo"), "still here")


class Embedded(CppCase):
    def test_settings_in_code_go_first_and_listen_returns(self):
        path = self.in_folder("other")
        runtime = self.launch([str(build() / "unit"), path], {"OUTRIGGER_HANDLER_CONCURRENCY": "7"})
        self.assertEqual(runtime.prints(), '[{"status":"progress","percent":100}] 2 m')
        runtime.says(f"outrigger: serving a, b on {path}, 3 at once")
        runtime.signal(signal.SIGTERM)
        self.assertEqual(runtime.prints(), "stopped, 0 left")
        self.assertEqual(runtime.prints(), "78 two functions have the name a")
        self.assertEqual(runtime.ends()[0], 0)

    def test_a_start_that_cannot_be_is_an_exception(self):
        runtime = self.launch([str(build() / "unit"), self.in_folder("no/such")])
        runtime.prints()
        self.assertTrue(runtime.prints().startswith("73 cannot make the socket "))
        self.assertEqual(runtime.ends()[0], 0)


class Build(CppCase):
    def test_the_header_may_stand_in_several_files_of_a_program(self):
        for name in ("one", "two"):
            with open(self.in_folder(f"{name}.cpp"), "w", encoding="utf-8") as file:
                file.write('#include "outrigger.hpp"\n#include "outrigger.hpp"\n')
        with open(self.in_folder("one.cpp"), "a", encoding="utf-8") as file:
            file.write("int main() { return outrigger::Json(0).as_int() != 0; }\n")
        program = self.in_folder("program")
        words = ["g++", "-std=c++17", "-O0", "-pthread", *WARNINGS, "-I", SDK]
        subprocess.run([*words, self.in_folder("one.cpp"), self.in_folder("two.cpp"), "-o", program], check=True)
        subprocess.run([program], check=True)

    def test_what_is_newer_than_its_sources_is_left_as_it_is(self):
        before = (build() / "conformance").stat().st_mtime_ns
        build.cache_clear()
        self.assertEqual((build() / "conformance").stat().st_mtime_ns, before)


class Readme(CppCase):
    def test_its_first_example_works_as_it_stands(self):
        with open(self.in_folder("count.cpp"), "w", encoding="utf-8") as file:
            file.write(example(SDK / "README.md", "cpp"))
        program = self.in_folder("count")
        subprocess.run(["g++", "-std=c++17", "-pthread", "-I", SDK, self.in_folder("count.cpp"), "-o", program], check=True)
        runtime = self.start([program], 1)
        self.assertEqual(self.connect(runtime).result({"text": "three little words"}), {"words": 3})
