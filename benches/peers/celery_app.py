"""Celery, set up so that nothing is lost: acknowledged late, one message at a time, publishes confirmed.

`python celery_app.py` puts one message on the route of queues, with the JSON on standard input as its payload. The task of
the last queue is never run: it is where the bench looks.
"""

import json
import os
import sys

from celery import Celery, chain
from kombu import Exchange, Queue

from echo import echo

app = Celery("steps", broker=os.environ["BENCH_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_ignore_result=True,
    task_queues=[
        Queue(name, Exchange(""), routing_key=name, queue_arguments=json.loads(os.environ["BENCH_ARGUMENTS"]))
        for name in os.environ["BENCH_ROUTE"].split(",")
    ],
    worker_concurrency=1,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=1,
)


@app.task(name="step")
def step(payload):
    return echo(payload)


if __name__ == "__main__":
    first, *others = os.environ["BENCH_ROUTE"].split(",")
    steps = [step.s(json.load(sys.stdin)).set(queue=first)] + [step.s().set(queue=name) for name in others]
    chain(*steps).apply_async()
