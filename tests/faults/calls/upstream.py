"""A service that begins every answer and ends none: `upstream.py PORT`, with a port of its own choice for 0; the file `port` names it."""
import os
import socket
import sys
import threading
import time

HEADS = {
    b"/length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
    b"/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
}
PIECES = {b"/length": b"abc" * 1000, b"/chunks": b"bb8\r\n" + b"abc" * 1000 + b"\r\n"}


def serve(connection):
    try:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += connection.recv(65536)
        path = b"/" + asked.split(b" ")[1].rsplit(b"/", 1)[1]
        connection.sendall(HEADS[path])
        while True:
            connection.sendall(PIECES[path])
    except OSError:
        connection.close()


while True:
    try:
        listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
        break
    except OSError:
        # Somebody's connection has the port for a moment.
        time.sleep(0.05)
with open("port.new", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename("port.new", "port")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
