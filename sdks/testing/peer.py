"""The sidecar's end of one connection, which speaks protocol 1 byte by byte."""

import json
import select
import socket
import struct

PATIENCE = 60
CONTROL = 0x8000_0000


class Peer:
    """One connection to a runtime."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(path)

    def write(self, body, control=False):
        """Sends one frame of bytes."""
        self.sock.sendall(struct.pack(">I", len(body) | (CONTROL if control else 0)) + body)

    def control(self, value):
        """Sends a control frame."""
        self.write(json.dumps(value).encode(), control=True)

    def request(self, payload, **meta):
        """Sends a request, after a meta frame where there is something to say."""
        if meta:
            self.control({"meta": meta})
        self.write(json.dumps(payload).encode())

    def exactly(self, size):
        """That many bytes; None at the end of the stream."""
        body = bytearray()
        while len(body) < size:
            chunk = self.sock.recv(min(size - len(body), 1 << 20))
            if not chunk:
                if body:
                    raise AssertionError(f"cut short after {len(body)} of {size} bytes")
                return None
            body += chunk
        return bytes(body)

    def frame(self):
        """The next frame as (is control, bytes); None at the end of the stream."""
        head = self.exactly(4)
        if head is None:
            return None
        (size,) = struct.unpack(">I", head)
        return bool(size & CONTROL), self.exactly(size & ~CONTROL) if size & ~CONTROL else b""

    def hello(self):
        """The hello that must come first; its functions, each of which takes one payload."""
        control, body = self.frame()
        assert control, body
        hello = json.loads(body)["hello"]
        assert hello["protocol"] == 1, hello
        for function in hello["functions"]:
            assert function.pop("args") == [{"name": "payload"}], hello
        return hello["functions"]

    def reply(self):
        """The next frame, which must not be a control frame."""
        control, body = self.frame()
        assert not control, body
        return json.loads(body)

    def pong(self):
        """The next frame, which must be a pong."""
        control, body = self.frame()
        assert control, body
        return json.loads(body)["pong"]

    def call(self, payload, function=None, **meta):
        """One exchange without interim frames."""
        if function is not None:
            meta["function"] = function
        self.request(payload, **meta)
        return self.reply()

    def result(self, payload, function=None, **meta):
        """The result of one exchange, which must succeed."""
        reply = self.call(payload, function, **meta)
        assert reply["status"] == "ok", reply
        return reply.get("result")

    def ended(self):
        """Whether the other side has closed, once something can be read."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def quiet(self, seconds=0):
        """Whether nothing comes for so long."""
        return not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        """Goes away."""
        self.sock.close()
