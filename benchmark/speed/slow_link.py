# SPDX-FileCopyrightText: 2026 The ttt3r_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A TCP proxy that delays, for machines without `tc netem`.

It hands on what comes after a delay, in order. Where a segment counts as lost, it and all behind
it come a round trip later, as after a fast retransmission; that a sender slows down after a loss,
and that it begins slowly, is not modelled.

Examples:
  python -m benchmark.speed.slow_link --to 7464 --delay-ms 50 --loss 0.01   # prints its port

"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import suppress
import random
import sys

SEGMENT = 1448  # bytes of a TCP segment on Ethernet
READ = 2**16


class SlowLink:
    """Connections from a free port of this machine to another one."""

    def __init__(self, to: int, delay_s: float, loss: float) -> None:
        """
        Keep where it leads.

        :param to: port on this machine.
        :param delay_s: each way, seconds.
        :param loss: part of the segments, 0 to 1.
        """
        self._to, self._delay_s, self._loss = to, delay_s, loss
        self._random = random.Random(0)

    async def serve(self) -> asyncio.Server:
        """Listen, and return the server."""
        return await asyncio.start_server(self._connect, '127.0.0.1', 0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection('127.0.0.1', self._to)
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._hand_on(reader, there[1]), self._hand_on(there[0], writer))

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read without waiting for what is on its way."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        deliver = asyncio.ensure_future(self._deliver(queue, writer))
        clock, due = asyncio.get_running_loop().time, 0.0
        with suppress(OSError):
            while content := await reader.read(READ):
                segments = -(-len(content) // SEGMENT)
                lost = any(self._random.random() < self._loss for _ in range(segments))
                due = max(due, clock() + self._delay_s * (3 if lost else 1))
                queue.put_nowait((due, content))
        queue.put_nowait((due, b''))
        await deliver

    async def _deliver(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        with suppress(OSError):
            while True:
                due, content = await queue.get()
                await asyncio.sleep(max(0.0, due - clock()))
                if not content:
                    break
                writer.write(content)
                await writer.drain()
        writer.close()


async def _run(link: SlowLink) -> None:
    server = await link.serve()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until it is killed."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmark.speed.slow_link',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--to', type=int, required=True, metavar='PORT')
    parser.add_argument('--delay-ms', type=float, default=0.0, help='each way')
    parser.add_argument('--loss', type=float, default=0.0, help='part of the segments')
    arguments = parser.parse_args(argv)
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(SlowLink(arguments.to, arguments.delay_ms / 1e3, arguments.loss)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
