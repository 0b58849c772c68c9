"""Reads what a collector was sent, with the protobuf definitions that OpenTelemetry publishes.

`otlp.py setup FOLDER` makes a virtual environment that has them (`setup FOLDER sdk`: one with the libraries that send);
`FOLDER/bin/python otlp.py decode FILE..` prints the
spans of some request bodies as one JSON array.
"""
import json
import os
import subprocess
import sys
import venv

PACKAGES = {"proto": "opentelemetry-proto>=1.25,<2", "sdk": "opentelemetry-exporter-otlp-proto-http>=1.25,<2"}


def setup(folder, what="proto"):
    """Makes the environment beside its place and moves it there, so that it is whole or not there at all."""
    if os.path.exists(os.path.join(folder, "bin", "python")):
        return
    draft = f"{folder}.{os.getpid()}"
    venv.create(draft, with_pip=True)
    python = os.path.join(draft, "bin", "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGES[what]], check=True)
    try:
        os.rename(draft, folder)
    except OSError:
        # Another was faster.
        if not os.path.exists(os.path.join(folder, "bin", "python")):
            raise


def value(any_value):
    kind = any_value.WhichOneof("value")
    return getattr(any_value, kind) if kind else None


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


def span(one, resource, scope):
    return {
        "resource": attributes(resource.attributes),
        "scope": scope.name,
        "trace": one.trace_id.hex(),
        "id": one.span_id.hex(),
        "parent": one.parent_span_id.hex(),
        "state": one.trace_state,
        "flags": one.flags,
        "name": one.name,
        "kind": type(one).SpanKind.Name(one.kind),
        "start": one.start_time_unix_nano,
        "end": one.end_time_unix_nano,
        "attributes": attributes(one.attributes),
        "events": [
            {"name": event.name, "at": event.time_unix_nano, "attributes": attributes(event.attributes)}
            for event in one.events
        ],
        "status": type(one.status).StatusCode.Name(one.status.code),
        "message": one.status.message,
    }


def decode(files):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans = []
    for name in files:
        with open(name, "rb") as file:
            request = ExportTraceServiceRequest.FromString(file.read())
        # Fields that the definitions do not know would be lost on the way through them.
        assert ExportTraceServiceRequest.FromString(request.SerializeToString()) == request
        for group in request.resource_spans:
            for scoped in group.scope_spans:
                spans.extend(span(one, group.resource, scoped.scope) for one in scoped.spans)
    print(json.dumps(spans))


if __name__ == "__main__":
    {"setup": lambda words: setup(*words), "decode": decode}[sys.argv[1]](sys.argv[2:])
