"""Handlers of the tests. Every call is noted, in a file that is only appended to, before anything is done."""
import os
import threading
import time

import outrigger

_HERE = os.path.dirname(os.path.abspath(__file__))
_NOTES = os.open(os.path.join(_HERE, "notes"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(*words):
    os.write(_NOTES, (" ".join(str(word) for word in words) + "\n").encode())


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def _elders():
    """Processes that noted their start before this one, as far as they are alive now."""
    with open(os.path.join(_HERE, "notes")) as notes:
        starts = [line.split()[1] for line in notes if line.startswith("start ")]
    return sum(_alive(pid) for pid in starts if int(pid) != os.getpid())


_note("start", os.getpid())


def _id(payload, ctx):
    """The message's id. A sidecar that waited for the hello in vain, as on a machine that stood still, speaks the plain
    dialect, in which a call has none: then it is the one that `Field::load` gave."""
    return ctx.id or f"m{payload['n']}"


def work(payload, ctx):
    """A few milliseconds, and the payload back."""
    _note("call", ctx.actor, _id(payload, ctx), os.getpid(), 0)
    time.sleep(payload.get("ms", 3) / 1000)
    return payload


def look(payload, ctx):
    """As work; notes how many processes of before are alive."""
    _note("call", ctx.actor, ctx.id, os.getpid(), _elders())
    return payload


def poison(payload, ctx):
    """Ends its process where the payload says so."""
    _note("call", ctx.actor, ctx.id, os.getpid(), 0)
    if payload.get("poison"):
        os._exit(9)
    return payload


_GATE = os.path.join(_HERE, "gate")


def gated(payload, ctx):
    """Answers when the file `gate` stands."""
    _note("call", ctx.actor, ctx.id, os.getpid(), 0)
    while not os.path.exists(_GATE):
        time.sleep(0.005)
    return payload


_MEETING = threading.Barrier(int(os.environ.get("OUTRIGGER_HANDLER_CONCURRENCY", "1")))


def meet(payload, ctx):
    """Answers when as many calls are there as there are places."""
    _note("call", ctx.actor, ctx.id, os.getpid(), 0)
    _MEETING.wait(20)
    return payload


def gather(payload, ctx):
    """Answers when as many processes have been called as the payload says."""
    _note("call", ctx.actor, ctx.id, os.getpid(), 0)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with open(os.path.join(_HERE, "notes")) as notes:
            pids = {line.split()[3] for line in notes if line.startswith("call ")}
        if len(pids) >= payload["processes"]:
            return payload
        time.sleep(0.005)
    raise outrigger.Fail("alone", "the others were not called meanwhile")


def speak(payload, ctx):
    """Interim frames of every kind."""
    ctx.progress(percent=40, message="almost half")
    ctx.partial({"piece": 1})
    ctx.heartbeat()
    return payload


def fail(payload, ctx):
    """Fails as the payload says."""
    _note("call", ctx.actor, ctx.id, os.getpid(), 0)
    if ctx.attempt <= payload.get("failures", 1 << 30):
        if "after" in payload:
            raise outrigger.Retry("not yet", after=payload["after"])
        raise ValueError("no good: " + payload.get("why", ""))
    return {"attempt": ctx.attempt}


def tell(payload, ctx):
    """What the call says of itself, and what the process was given."""
    given = {name: value for name, value in os.environ.items() if name.startswith(("OUTRIGGER", "ASYA", "MY_"))}
    return {
        "id": ctx.id,
        "actor": ctx.actor,
        "attempt": ctx.attempt,
        "headers": dict(ctx.headers),
        "environment": given,
        "folder": os.getcwd(),
        "group": os.getpgid(0) == os.getpid(),
    }
