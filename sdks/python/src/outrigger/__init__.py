"""Write a function; Outrigger brings it the work.

A handler is a plain function of the payload, or of the payload and a `Context`. `python -m outrigger
handler.py:process` and `serve(process)` put it behind a Unix socket that a sidecar connects to; a unit test
calls it like any other function.

    import outrigger

    def process(payload, ctx):
        ctx.progress(50, "half way")
        return {"total": sum(payload["numbers"])}

    if __name__ == "__main__":
        outrigger.serve(process)
"""

from .context import Context
from .errors import Canceled, Fail, Retry, StartError
from .server import serve
from .values import One, Result

__all__ = ["Canceled", "Context", "Fail", "One", "Result", "Retry", "StartError", "serve"]
__version__ = "0.1.0"
