"""The requests that gunicorn's own tests are made of, from its source package on Python's package index.

`vectors.py setup FOLDER` writes `FOLDER/vectors.json`: `[{name, error, settings, request, wanted}]`. `request` is in hexadecimal;
`wanted` is the list of `{method, target, body}` that it is, and empty where it is none; `error` is what is wrong with it then;
`settings` are those of gunicorn that have to be other than by default for that.

Requests of HTTP/1.1 without `Host`, as many of them are, are given one: what they are about is something else.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import types
import venv

PACKAGE = "gunicorn==27.0.1"


class Config:
    """Notes what is set."""

    def __init__(self):
        self.settings = []

    def set(self, name, value):
        self.settings.append(f"{name}={value}")


class Errors(types.ModuleType):
    """Has every error, as its name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


def load(path):
    """What is wanted of a request, as the file beside it says: Python that gunicorn runs too."""
    names = {"uri": str, "cfg": Config()}
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), names)
    return names["request"], names["cfg"].settings


def unescaped(data):
    for old, new in ((b"\n", b""), (b"\\r\\n", b"\r\n"), (b"\\0", b"\0"), (b"\\n", b"\n"), (b"\\t", b"\t")):
        data = data.replace(old, new)
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), data)


def hosted(data):
    # What follows a length may be a body that looks like a request.
    is_old = b" HTTP/1.0\r\n" in data.split(b"\n")[0] + b"\n"
    if b"host:" in data.lower() or (is_old and b"content-length" in data.lower()):
        return data
    return re.sub(rb"([A-Z-]+ [^ \r\n]+ HTTP/1\.1\r\n)", rb"\1Host: a\r\n", data)


def as_bytes(body):
    return body.encode() if isinstance(body, str) else body


def vector(path, folder):
    with open(path, "rb") as file:
        data = hosted(unescaped(file.read()))
    request, settings = load(path.removesuffix(".http") + ".py")
    is_none = isinstance(request, str)
    requests = [] if is_none else request if isinstance(request, list) else [request]
    return {
        "name": os.path.relpath(path, folder).removesuffix(".http"),
        "error": request if is_none else None,
        "settings": settings,
        "request": data.hex(),
        "wanted": [
            {"method": one["method"], "target": one["uri"], "body": as_bytes(one["body"]).hex()}
            for one in requests
            if not isinstance(one, str)
        ],
    }


def setup(folder):
    """Makes the folder beside its place and moves it there, so that it is whole or not there at all."""
    draft = f"{folder}.{os.getpid()}"
    venv.create(os.path.join(draft, "venv"), with_pip=True)
    python = os.path.join(draft, "venv", "bin", "python")
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", "gunicorn"]
    subprocess.run([python, "-m", "pip", *words, "--dest", draft, PACKAGE], check=True)
    (archive,) = glob.glob(os.path.join(draft, "gunicorn-*.tar.gz"))
    with tarfile.open(archive) as package:
        for member in package:
            if "/tests/requests/" in member.name and ".." not in member.name:
                package.extract(member, draft)
    (requests,) = glob.glob(os.path.join(draft, "gunicorn-*", "tests", "requests"))
    for name in ("gunicorn", "gunicorn.config", "gunicorn.http"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["gunicorn.http.errors"] = Errors("gunicorn.http.errors")
    sys.modules["gunicorn.config"].Config = Config
    vectors = [vector(path, requests) for path in sorted(glob.glob(os.path.join(requests, "*", "*.http")))]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(draft, "vectors.json"), "w", encoding="utf-8") as file:
        json.dump(vectors, file)
    os.rename(os.path.join(draft, "vectors.json"), os.path.join(folder, "vectors.json"))
    shutil.rmtree(draft)


if __name__ == "__main__":
    setup(sys.argv[2])
