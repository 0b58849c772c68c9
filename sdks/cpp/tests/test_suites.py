"""The suites that every runtime passes."""

from testing import framing, living, talking, working

from .support import CppCase


class Hello(talking.Hello, CppCase):
    pass


class Meta(talking.Meta, CppCase):
    pass


class Replies(talking.Replies, CppCase):
    pass


class Errors(talking.Errors, CppCase):
    pass


class Framing(framing.Framing, CppCase):
    pass


class Broken(framing.Broken, CppCase):
    pass


class AtOnce(working.AtOnce, CppCase):
    pass


class Pings(working.Pings, CppCase):
    pass


class Cancel(working.Cancel, CppCase):
    pass


class Settings(living.Settings, CppCase):
    pass


class Signals(living.Signals, CppCase):
    pass


class Lifeline(living.Lifeline, CppCase):
    pass
