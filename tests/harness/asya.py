"""A runtime as Asya's are, in any of its three generations: `asya.py GENERATION [SOCKET]`.

It serves one connection after the other, one request each, and keeps to what was written down of those runtimes, quirks
included. The payload says what its handler does. Every request is noted as it came.
"""
import http.server
import json
import os
import signal
import socket
import struct
import sys
import time

generation = sys.argv[1]
if len(sys.argv) > 2:
    path = sys.argv[2]
elif generation == "1":
    path = os.environ["ASYA_SOCKET_PATH"]
else:
    path = os.path.join(os.environ["ASYA_SOCKET_DIR"], os.environ.get("ASYA_SOCKET_NAME", "asya-runtime.sock"))
notes = os.open("asya-notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
END = object()


class Crash(Exception):
    """Ends the connection without a byte."""


def handle(payload):
    """The outputs of a payload, as the user's function gives them: a list, empty for none."""
    do = payload.get("do") if isinstance(payload, dict) else None
    if do == "fail":
        raise ValueError("no model")
    if do == "crash":
        raise Crash
    if do == "hang":
        time.sleep(3600)
    if do == "nothing":
        return []
    if do == "split":
        return [{"part": number} for number in range(payload["n"])]
    return [payload]


def failure(code, error):
    details = {"message": str(error), "type": type(error).__name__, "traceback": "Traceback of the stand-in"}
    if generation == "3":
        details["mro"] = ["Exception"]
    return {"error": code, "details": details}


def checked(message):
    """What such a runtime refuses."""
    route = message["route"]
    if generation == "3":
        if not isinstance(route["prev"], list) or not isinstance(route["curr"], str) or not isinstance(route["next"], list):
            raise ValueError("no route")
    else:
        names = route["steps" if generation == "1" else "actors"]
        if not names or type(route["current"]) is not int:
            raise ValueError("no route")
    if "headers" in message and not isinstance(message["headers"], dict):
        raise ValueError("headers are no object")
    if not isinstance(message["job_id" if generation == "1" else "id"], str):
        raise ValueError("no id")
    return message


def frame(message, payload):
    """One output with its route moved on, where this generation does that."""
    route = json.loads(json.dumps(message["route"]))
    change = payload.pop("route", None) if isinstance(payload, dict) else None
    if generation == "2":
        route["current"] += 1
    if generation == "3":
        following = change or route["next"]
        prev = route["prev"] + [route["curr"]]
        route = {"prev": prev, "curr": following[0] if following else "", "next": following[1:]}
    elif change:
        route["steps" if generation == "1" else "actors"] = change
    made = {"payload": payload, "route": route}
    if generation != "1" and message.get("headers"):
        made["headers"] = message["headers"]
    return made


def answer(body):
    """The status and what is answered; the status matters to the third generation alone."""
    os.write(notes, body.replace(b"\n", b" ") + b"\n")
    try:
        message = checked(json.loads(body))
    except (KeyError, ValueError, TypeError) as error:
        return 400, [failure("msg_parsing_error", error)]
    if generation == "2" and os.environ.get("END_ACTOR"):
        return 200, [{}]
    try:
        return 200, [frame(message, payload) for payload in handle(message["payload"])]
    except Crash:
        return END, None
    except ValueError as error:
        return 500, [failure("processing_error", error)]


def exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve_frames():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(5)
    ready()
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                (length,) = struct.unpack(">I", exactly(connection, 4))
                status, frames = answer(exactly(connection, length))
                if status is not END:
                    body = json.dumps(frames).encode()
                    connection.sendall(struct.pack(">I", len(body)) + body)
            except (EOFError, OSError):
                pass


class Invoke(http.server.BaseHTTPRequestHandler):
    """HTTP/1.0, as the base class has it: no connection is kept."""

    def address_string(self):
        return "here"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/invoke" and self.headers["Content-Type"] == "application/json"
        payload = json.loads(body).get("payload")
        if isinstance(payload, dict) and payload.get("do") == "stream":
            os.write(notes, body + b"\n")
            return self.stream(json.loads(body), payload)
        status, frames = answer(body)
        if status is END:
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if status == 200 and not frames:
            self.send_response(204)
            return self.end_headers()
        text = json.dumps({"frames": frames} if status == 200 else frames[0]).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, message, payload):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.event("upstream", {"payload": {"token": "a"}})
        for number in range(payload["n"]):
            self.event("downstream", frame(message, {"part": number}))
        if payload.get("then") == "fail":
            self.event("error", failure("processing_error", ValueError("in the middle")))
        if payload.get("then") != "break":
            self.event("done", {})

    def event(self, name, data):
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()


class Server(http.server.HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "here", 0


def ready():
    """What the sidecars of the second generation wait for."""
    if generation != "1" and not os.environ.get("NOT_READY"):
        with open(os.path.join(os.path.dirname(path) or ".", "runtime-ready"), "w") as file:
            file.write("ready")


signal.signal(signal.SIGTERM, signal.SIG_DFL)
if generation == "3":
    server = Server(path, Invoke)
    ready()
    server.serve_forever()
else:
    serve_frames()
