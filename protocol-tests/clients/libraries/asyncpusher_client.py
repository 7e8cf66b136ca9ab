"""A client of asyncpusher that stays on: asyncpusher_client.py <url>

Each line of output is JSON: "connected", or "closed" with the code, as the library logs it. The end of the input ends it.
"""

import asyncio
import json
import logging
import re
import sys

from asyncpusher.connection import Connection

CLOSED = re.compile(r"Exiting dispatch with message: .*CLOSE\b.*data=(\d+)")


def report(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


class Closes(logging.Handler):
    def emit(self, record):
        if closed := CLOSED.match(record.getMessage()):
            report("closed", code=int(closed[1]))


async def main(url):
    log = logging.getLogger("asyncpusher")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(Closes())

    async def ignored(*_):
        pass

    async def connected(_):
        report("connected")

    connection = Connection(asyncio.get_running_loop(), url, ignored, log)
    connection.bind("pusher:connection_established", connected)
    opening = asyncio.create_task(connection.open())
    await asyncio.to_thread(sys.stdin.read)
    opening.cancel()


asyncio.run(main(sys.argv[1]))
