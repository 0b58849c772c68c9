"""Builds what the tests start, once: the conformance handler, the suites' own handler, and the checks of JSON.

CXXFLAGS is passed on, so that all of it can be run under a sanitizer; each set of flags has a folder of its own.
"""

import functools
import hashlib
import os
import shlex
import subprocess

from testing.runtime import RuntimeCase

from . import SDK

FLAGS = os.environ.get("CXXFLAGS", "")
OUT = SDK.parent.parent / "target" / "sdks" / ("cpp" + (hashlib.sha256(FLAGS.encode()).hexdigest()[:8] if FLAGS else ""))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


@functools.cache
def build():
    """The folder with everything in it."""
    subprocess.run([SDK / "build.sh", OUT], check=True)
    for source in sorted((SDK / "tests").glob("*.cpp")):
        program = OUT / source.stem
        newest = max(path.stat().st_mtime_ns for path in (source, SDK / "outrigger.hpp"))
        if not program.exists() or program.stat().st_mtime_ns < newest:
            words = [os.environ.get("CXX", "g++"), "-std=c++17", "-O1", "-pthread", *WARNINGS, *shlex.split(FLAGS)]
            subprocess.run([*words, "-I", SDK, source, "-o", program], check=True)
    return OUT


class CppCase(RuntimeCase):
    """A test of the C++ runtime."""

    crash_type = r"^std::runtime_error$"
    #: The listener; the two ends of the bell are no sockets.
    idle_sockets = 1
    idle_threads = 5

    @classmethod
    def setUpClass(cls):
        cls.conformance = [str(build() / "conformance")]
        cls.probe = [str(build() / "probe")]
