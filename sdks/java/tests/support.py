"""Builds what the tests start, once: the library, the conformance handler, and the tests' own classes."""

import functools
import subprocess

from testing.runtime import RuntimeCase

from . import SDK

OUT = SDK.parent.parent / "target" / "sdks" / "java"
JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


@functools.cache
def build():
    """The folder with everything in it."""
    subprocess.run([SDK / "build.sh", OUT], check=True)
    classes = OUT / "tests"
    sources = sorted((SDK / "tests").glob("*.java"))
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-cp", OUT / "outrigger.jar", "-d", classes, *sources], check=True)
    return OUT


def program(name):
    """The command of a class of the tests'."""
    return [*JAVA, "-cp", f"{OUT}/outrigger.jar:{OUT}/tests", name]


class JavaCase(RuntimeCase):
    """A test of the Java runtime."""

    crash_type = r"^java\.lang\.IllegalStateException$"
    #: The listener and the descriptor that the JDK keeps to wake a thread that waits in it.
    idle_sockets = 3
    idle_threads = 40

    @classmethod
    def setUpClass(cls):
        cls.conformance = [str(build() / "conformance")]
        cls.probe = program("Probe")
