"""The suites that every runtime passes."""

from testing import framing, living, talking, working

from .support import JavaCase


class Hello(talking.Hello, JavaCase):
    pass


class Meta(talking.Meta, JavaCase):
    pass


class Replies(talking.Replies, JavaCase):
    pass


class Errors(talking.Errors, JavaCase):
    pass


class Framing(framing.Framing, JavaCase):
    pass


class Broken(framing.Broken, JavaCase):
    pass


class AtOnce(working.AtOnce, JavaCase):
    pass


class Pings(working.Pings, JavaCase):
    pass


class Cancel(working.Cancel, JavaCase):
    pass


class Settings(living.Settings, JavaCase):
    pass


class Signals(living.Signals, JavaCase):
    pass


class Lifeline(living.Lifeline, JavaCase):
    pass
