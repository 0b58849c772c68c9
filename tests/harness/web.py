"""A handler on Python's own HTTP server: `web.py [SOCKET]`, else a free port, which is written to `port`.

HTTP/1.1 with kept connections; the payload says what is answered.
"""
import http.server
import json
import os
import socket
import sys
import threading

notes = os.open("web-notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "here"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        names = ["X-Outrigger-Id", "X-Outrigger-Actor", "X-Outrigger-Attempt"]
        note = [self.path, threading.get_ident(), *(self.headers[name] for name in names)]
        os.write(notes, (json.dumps(note) + "\n").encode())
        payload = json.loads(body)
        do = payload.get("do") if isinstance(payload, dict) else None
        if do == "nothing":
            self.send_response(204)
            return self.end_headers()
        if do == "stream":
            return self.stream(payload)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, payload):
        self.send_response(200)
        self.send_header("Content-Type", payload["as"])
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        before, after = ("", "\n") if payload["as"] == "application/x-ndjson" else (": hello\n\ndata: ", "\n\n")
        for frame in payload["frames"]:
            text = (before + json.dumps(frame) + after).encode()
            # In two pieces, so that frames do not come whole.
            for piece in (text[:5], text[5:]):
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class OnSocket(http.server.ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "here", 0


if len(sys.argv) > 1:
    server = OnSocket(sys.argv[1], Handler)
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open("port.new", "w") as file:
        file.write(str(server.server_address[1]))
    os.rename("port.new", "port")
server.daemon_threads = True
server.serve_forever()
