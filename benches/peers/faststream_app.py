"""FastStream: one subscriber for each queue of the route but the last, which publishes to the next queue.

Up to `BENCH_PREFETCH` messages at once, each acknowledged when what it made is published and confirmed.
"""

import asyncio
import json
import os
from itertools import pairwise

from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

from echo import echo

broker = RabbitBroker(
    os.environ["BENCH_URL"],
    default_channel=Channel(prefetch_count=int(os.environ["BENCH_PREFETCH"]), publisher_confirms=True),
    logger=None,
)
arguments = json.loads(os.environ["BENCH_ARGUMENTS"])


def queue(name):
    return RabbitQueue(name, durable=True, arguments=arguments)


for here, there in pairwise(os.environ["BENCH_ROUTE"].split(",")):

    @broker.subscriber(queue(here))
    @broker.publisher(queue(there), persist=True, mandatory=True)
    async def step(payload: str) -> str:
        return echo(payload)


if __name__ == "__main__":
    asyncio.run(FastStream(broker, logger=None).run())
