"""The conformance handler of the Python runtime: the functions of `sdks/vectors/README.md`.

    OUTRIGGER_HANDLER_SOCKET=/tmp/h.sock OUTRIGGER_HANDLER_CONCURRENCY=4 python3 sdks/python/conformance/handler.py
    outrigger conformance --socket /tmp/h.sock
"""

import sys
import threading
import time

import outrigger

_canceled = 0
_counting = threading.Lock()


def echo(payload):
    return payload


def nothing(payload):
    pass


def fan_out(payload):
    return list(range(payload["n"]))


def one(payload):
    return outrigger.One(payload)


def fail(payload):
    raise outrigger.Fail(payload["code"], payload["message"], details=payload.get("details"))


def retry(payload):
    raise outrigger.Retry(payload["message"], after=payload.get("after"))


def crash(payload):
    raise RuntimeError("boom")


def steps(payload, ctx):
    ctx.progress(50, "half")
    ctx.partial({"n": 1})
    ctx.heartbeat()
    return {"done": True}


def stream(payload):
    for n in range(payload["n"]):
        yield {"n": n}
    return {"count": payload["n"]}


def context(payload, ctx):
    return {
        "id": ctx.id,
        "actor": ctx.actor,
        "function": ctx.function,
        "attempt": ctx.attempt,
        "headers": ctx.headers,
        "deadline": ctx.deadline and ctx.deadline.isoformat(),
    }


def slow(payload):
    time.sleep(payload["ms"] / 1000)
    return {"slept": payload["ms"]}


def wait(payload, ctx):
    global _canceled
    try:
        while True:
            ctx.heartbeat()
            time.sleep(0.01)
    except outrigger.Canceled:
        with _counting:
            _canceled += 1
        raise


def cancellations(payload):
    return _canceled


def bad_result(payload):
    return float("nan")


if __name__ == "__main__":
    try:
        outrigger.serve(
            echo, nothing, fan_out, one, fail, retry, crash,
            steps, stream, context, slow, wait, cancellations, bad_result,
        )
    except outrigger.StartError as error:
        print(f"outrigger: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
