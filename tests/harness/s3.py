"""An S3 of the tests' own: moto, from Python's package index, on a free port of loopback.

`s3.py setup FOLDER` makes a virtual environment that has it; `FOLDER/bin/python s3.py serve` prints its port, and
then answers each line of standard input with one of JSON, until that ends: `make BUCKET`, `read BUCKET`.
"""
import gzip
import json
import os
import subprocess
import sys
import venv

PACKAGE = "moto[s3,server]>=5,<6"


def setup(folder):
    """Makes the environment beside its place and moves it there, so that it is whole or not there at all."""
    if os.path.exists(os.path.join(folder, "bin", "python")):
        return
    draft = f"{folder}.{os.getpid()}"
    venv.create(draft, with_pip=True)
    python = os.path.join(draft, "bin", "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE], check=True)
    try:
        os.rename(draft, folder)
    except OSError:
        # Another was faster.
        if not os.path.exists(os.path.join(folder, "bin", "python")):
            raise


def serve():
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(port, flush=True)
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    for line in sys.stdin:
        word, bucket = line.split()
        if word == "make":
            s3.create_bucket(Bucket=bucket)
            answer = {}
        else:
            names = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
            bodies = {name: s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}
            answer = {name: gzip.decompress(body).decode() for name, body in bodies.items()}
        print(json.dumps(answer), flush=True)
    server.stop()


if __name__ == "__main__":
    {"setup": lambda words: setup(*words), "serve": lambda words: serve()}[sys.argv[1]](sys.argv[2:])
