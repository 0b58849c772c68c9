"""What is served for which command line, and how a start that cannot be is refused."""

import os
import socket
import stat

from .support import Peer, RuntimeCase

ECHO = "def process(payload): return payload\n"


class Loading(RuntimeCase):
    def refused(self, spec, code, *fragments, environment=None):
        """Starts and must be refused."""
        left, said = self.launch(["-m", "outrigger", *spec.split()], environment).ends()
        self.assertEqual(left, code, said)
        for fragment in fragments:
            self.assertIn(fragment, said)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "s")))
        return said

    def test_a_function_is_found_by_file_module_and_attribute(self):
        os.mkdir(os.path.join(self.folder, "pack"))
        self.put("pack/__init__.py", "")
        self.put("pack/mod.py", "from . import near\nclass Box:\n    @staticmethod\n    def open(p): return near.NAME\n")
        self.put("pack/near.py", "NAME = 'box'\n")
        runtime = self.launch(["-m", "outrigger", "pack.mod:Box.open"]).serving()
        self.assertEqual(self.knock(runtime).hello(), [{"name": "Box.open"}])
        self.assertEqual(self.connect(runtime).call(0)["result"], "box")

    def test_a_file_may_import_its_neighbours_from_any_folder(self):
        os.mkdir(os.path.join(self.folder, "deep"))
        self.put("deep/near.py", "NAME = 'near'\n")
        self.put("deep/my-handler.py", "import near\ndef process(p): return near.NAME\n")
        runtime = self.launch(["-m", "outrigger", "deep/my-handler.py"]).serving()
        self.assertEqual(self.connect(runtime).call(0)["result"], "near")

    def test_a_file_named_like_a_module_of_the_library_does_no_harm(self):
        self.put("signal.py", "import json, subprocess\ndef process(p): return subprocess.list2cmdline(p)\n")
        runtime = self.launch(["-m", "outrigger", os.path.join(self.folder, "signal.py")], cwd="/").serving()
        self.assertEqual(self.connect(runtime).call(["a", "b c"])["result"], 'a "b c"')

    def test_the_only_function_needs_no_name(self):
        self.put("handler.py", "from os.path import join\nNUMBER = 3\ndef _hidden(p): pass\ndef clean(p): return NUMBER\n")
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        self.assertEqual(self.knock(runtime).hello(), [{"name": "clean"}])

    def test_the_only_class_needs_no_name(self):
        self.put("handler.py", "class Error(Exception): pass\nclass Model:\n    def process(self, p): return p\n")
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        self.assertEqual(self.knock(runtime).hello(), [{"name": "Model"}])

    def test_instances_partials_and_builtins_are_handlers(self):
        self.put("handler.py", "import functools\nadd = functools.partial(lambda a, b: a + b, 1)\nlength = len\n")
        runtime = self.launch(["-m", "outrigger", "handler.py:add,length"]).serving()
        peer = self.connect(runtime)
        self.assertEqual(peer.call(41, function="add")["result"], 42)
        self.assertEqual(peer.call([1, 2], function="length")["result"], 2)

    def test_a_bad_handler_is_refused_and_says_what_was_found(self):
        self.put("handler.py", "def a(p): pass\ndef b(p): pass\nNUMBER = 3\nclass Needy:\n    def __init__(self, x): pass\n"
                 "    def process(self, p): pass\nclass Idle: pass\ndef none(): pass\ndef three(a, b, c): pass\n"
                 "def turned(ctx, payload): pass\ndef key(p, *, ctx, size): pass\n")
        self.put("empty.py", "")
        self.refused("nothing.py", 78, "there is no file nothing.py")
        self.refused("nothing", 78, "there is no module `nothing`")
        self.refused("handler", 78, "handler has no `process`")
        self.refused("handler.py:c", 78, "handler.py has no `c`; found a, b, Needy")
        self.refused("handler.py", 78, "several others", "handler.py:a", "found a, b")
        self.refused("empty.py", 78, "defines no function", "def process(payload)")
        self.refused("handler.py:NUMBER", 78, "`NUMBER` is a int")
        self.refused("handler.py:Needy", 78, "class `Needy` needs x")
        self.refused("handler.py:Idle", 78, "neither `__call__` nor `process`")
        self.refused("handler.py:none", 78, "`none` takes no payload")
        self.refused("handler.py:three", 78, "`three` also needs c")
        self.refused("handler.py:turned", 78, "the payload comes first")
        self.refused("handler.py:key", 78, "`key` also needs size")
        self.refused("handler.py:", 78, "is not a handler")
        self.refused("", 64, "required: handler")
        self.refused("handler.py:a --concurrency x", 64, "invalid int value")

    def test_what_an_import_raises_is_shown_from_the_users_first_line(self):
        self.put("handler.py", "import json\n\n\njson.loads('{')\n")
        said = self.refused("handler.py", 1, 'handler.py", line 4', "JSONDecodeError", "handler.py could not be loaded")
        self.assertTrue(said.startswith("Traceback (most recent call last):\n"))
        self.assertIn('handler.py", line 4', said.splitlines()[1])
        self.refused("handler", 1, 'handler.py", line 4', "JSONDecodeError")
        self.put("wrong.py", "def process(p):\n    retrun p\n")
        said = self.refused("wrong.py", 1, 'wrong.py", line 2', "SyntaxError")
        self.assertNotIn("importlib", said)
        self.put("lost.py", "import not_installed_anywhere\n")
        self.refused("lost", 1, "No module named 'not_installed_anywhere'")
        self.put("left.py", "import sys\nsys.exit(5)\n")
        self.refused("left.py", 1, "SystemExit: 5")
        self.put("model.py", "class Model:\n    def __init__(self): open('weights')\n    def process(self, p): pass\n")
        said = self.refused("model.py", 1, "FileNotFoundError", 'model.py", line 2')
        self.assertNotIn("outrigger/", said)


class Settings(RuntimeCase):
    def setUp(self):
        super().setUp()
        self.put("handler.py", ECHO)

    def refused(self, code, fragment, arguments=(), environment=None):
        """Starts the echo handler and must be refused."""
        left, said = self.launch(["-m", "outrigger", "handler.py", *arguments], environment).ends()
        self.assertEqual(left, code, said)
        self.assertIn(fragment, said)

    def test_settings_that_cannot_be_are_refused(self):
        self.refused(78, "no socket to serve on", environment={"OUTRIGGER_HANDLER_SOCKET": ""})
        self.refused(78, "OUTRIGGER_HANDLER_CONCURRENCY=two", environment={"OUTRIGGER_HANDLER_CONCURRENCY": "two"})
        self.refused(78, "a concurrency of 0", ["--concurrency", "0"])
        self.refused(78, "at most 100 are possible", ["--socket", "/" + "x" * 100])
        self.refused(73, "No such file or directory", ["--socket", "no/such/folder/s"])

    def test_flags_go_before_the_environment(self):
        other = os.path.join(self.folder, "other")
        arguments = ["-m", "outrigger", "handler.py", "--socket", other, "--concurrency", "3"]
        self.launch(arguments, {"OUTRIGGER_HANDLER_CONCURRENCY": "1"}).says(
            f"outrigger: serving process on {other}, 3 at once"
        )
        peer = Peer(other)
        self.addCleanup(peer.close)
        self.assertEqual(peer.hello(), [{"name": "process"}])

    def test_the_socket_is_its_owners_alone(self):
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        self.assertEqual(stat.S_IMODE(os.stat(runtime.path).st_mode), 0o600)

    def test_files_that_the_handler_makes_have_the_usual_mode(self):
        self.put("maker.py", "import os\ndef process(p):\n    open(p, 'w').close()\n    return os.stat(p).st_mode & 0o777\n")
        before = os.umask(0o022)
        try:
            runtime = self.launch(["-m", "outrigger", "maker.py"]).serving()
        finally:
            os.umask(before)
        self.assertEqual(self.connect(runtime).call("made")["result"], 0o644)

    def test_a_stale_socket_is_replaced(self):
        path = os.path.join(self.folder, "s")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as old:
            old.bind(path)
            old.listen()
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        self.assertEqual(self.connect(runtime).call(1)["result"], 1)

    def test_a_live_socket_is_left_to_its_owner(self):
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        self.refused(73, "another process is serving on")
        self.assertEqual(self.connect(runtime).call(1)["result"], 1)

    def test_a_file_that_is_no_socket_is_not_removed(self):
        self.put("s", "precious")
        self.refused(73, "is not a socket")
        with open(os.path.join(self.folder, "s"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")

    def test_a_runtime_leaves_its_successors_socket_alone(self):
        runtime = self.launch(["-m", "outrigger", "handler.py"]).serving()
        os.unlink(runtime.path)
        second = self.launch(["-m", "outrigger", "handler.py"]).serving()
        runtime.process.terminate()
        self.assertEqual(runtime.ends()[0], 0)
        self.assertEqual(self.connect(second).call(1)["result"], 1)


class Scripts(RuntimeCase):
    def test_serve_in_a_script_returns_after_an_orderly_stop(self):
        self.put(
            "script.py",
            """
            import outrigger
            def double(payload): return payload * 2
            def half(payload): return payload / 2
            if __name__ == "__main__":
                outrigger.serve({"twice": double, "half": half}, concurrency=2)
                print("after")
            """,
        )
        runtime = self.launch(["script.py"]).serving()
        peer = self.knock(runtime)
        self.assertEqual(peer.hello(), [{"name": "twice"}, {"name": "half"}])
        self.assertEqual(peer.call(3, function="twice")["result"], 6)
        runtime.process.terminate()
        runtime.says("outrigger: stopping")
        peer.close()
        self.assertEqual(runtime.prints(), "after")
        self.assertEqual(runtime.ends()[0], 0)

    def test_serve_takes_several_functions_or_one_with_a_name(self):
        self.put("script.py", "import outrigger\ndef a(p): pass\ndef b(p): pass\noutrigger.serve(a, b)\n")
        self.assertEqual(self.knock(self.launch(["script.py"]).serving()).hello(), [{"name": "a"}, {"name": "b"}])
        os.unlink(os.path.join(self.folder, "s"))
        self.put("script.py", "import outrigger\noutrigger.serve(lambda p: p, name='echo')\n")
        self.assertEqual(self.knock(self.launch(["script.py"]).serving()).hello(), [{"name": "echo"}])

    def test_a_file_that_serves_by_itself_when_imported_is_told_so(self):
        self.put("handler.py", ECHO + "import outrigger\noutrigger.serve(process)\n")
        left, said = self.launch(["-m", "outrigger", "handler.py"]).ends()
        self.assertEqual(left, 78)
        self.assertIn("if __name__ == '__main__'", said)
