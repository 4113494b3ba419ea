"""`python -m local.twin --port 0 --emulator http://127.0.0.1:4566 --log FILE`: run the twin until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from aiohttp import web

from local.twin.options import Options, OptionsError, changed
from local.twin.server import Twin

HOST = "127.0.0.1"


async def serve(port: int, emulator: str, options: Options, *, follow: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    # Whoever started the twin holds the other end of its standard input: once they are gone, so is it.
    if follow:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    # A reply that hangs on purpose must not keep the twin from stopping.
    runner = web.AppRunner(Twin(emulator, options).application(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, HOST, port)
    await site.start()
    print(f"http://{HOST}:{runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="local.twin", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one, announced on standard output")
    parser.add_argument("--emulator", required=True, help="endpoint of the emulator")
    parser.add_argument("--log", type=Path, required=True, help="file to log to")
    parser.add_argument("--options", default="{}", help="options as JSON, see local/twin/options.py")
    parser.add_argument("--follow", action="store_true", help="stop when standard input is closed")
    given = parser.parse_args()
    given.log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=given.log, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        options = changed(Options(), json.loads(given.options))
    except (OptionsError, ValueError) as error:
        parser.error(f"--options: {error}")
    asyncio.run(serve(given.port, given.emulator, options, follow=given.follow))


if __name__ == "__main__":
    main()
