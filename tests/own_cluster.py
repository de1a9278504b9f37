"""A cluster of three Valkeys that a test has to itself, as it is or behind TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from own_valkey import OwnValkey
from stack import free_port
from support import eventually

_SLOTS = [(0, 5460), (5461, 10922), (10923, 16383)]


class OwnCluster:
    """Three masters, each with a third of the slots.

    Args:
        folder: where they live.
        ports: what the nodes tell clients of their ports, if it is not the truth.
        settings: more of their settings.
    """

    def __init__(
        self, folder: Path, ports: list[int] | None = None, settings: dict[str, object] | None = None
    ) -> None:
        self.nodes: list[OwnValkey] = []
        for number, _ in enumerate(_SLOTS):
            own = folder / str(number)
            own.mkdir()
            more = dict(settings or {})
            if ports is not None:
                more["cluster-announce-port"] = ports[number]
            self.nodes.append(
                OwnValkey(own, settings={"cluster-enabled": "yes", "cluster-port": free_port(), **more})
            )
        self.clients: list[Any] = [
            redis.Redis.from_url(node.url, decode_responses=True) for node in self.nodes
        ]
        for number, (client, slots) in enumerate(zip(self.clients, _SLOTS, strict=True)):
            client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            port, bus = node.port, node.settings["cluster-port"]
            self.clients[0].execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
        if not eventually(lambda: all(self._is_complete(client) for client in self.clients), 30):
            self.kill()
            pytest.fail("the cluster did not come together")

    @staticmethod
    def _is_complete(client: Any) -> bool:
        info = client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3"

    @property
    def url(self) -> str:
        """Where it is, without TLS."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def owner(self, key: str) -> int:
        """The number of the node that has a key."""
        for number, client in enumerate(self.clients):
            with contextlib.suppress(redis.exceptions.MovedError):
                client.exists(key)
                return number
        raise AssertionError(f"nobody has {key}")

    def move(self, key: str) -> None:
        """Moves the slot of a key, and the key, to the next node."""
        slot = self.clients[0].cluster("KEYSLOT", key)
        source = self.owner(key)
        target = (source + 1) % len(self.nodes)
        ids = [client.execute_command("CLUSTER MYID") for client in self.clients]
        self.clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
        self.clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
        self.clients[source].migrate("127.0.0.1", self.nodes[target].port, key, 0, 5000)
        for number in (target, source, 3 - target - source):
            self.clients[number].execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])

    def kill(self) -> None:
        """Ends all of it."""
        for client in self.clients:
            client.close()
        for node in self.nodes:
            node.kill()


@contextlib.contextmanager
def own_cluster() -> Iterator[OwnCluster]:
    """Starts a cluster and ends it."""
    with tempfile.TemporaryDirectory(prefix="puff-cluster-") as folder:
        cluster = OwnCluster(Path(folder))
        try:
            yield cluster
        finally:
            cluster.kill()


@contextlib.contextmanager
def own_tls_cluster(
    context: ssl.SSLContext, hostname: str | None = None
) -> Iterator[tuple[OwnCluster, list[int]]]:
    """A cluster whose clients need TLS, and its ports.

    Each node is behind a terminator, for the wheel's Valkey has no TLS; it tells clients the terminator's
    port, and `hostname` in the place of its address.
    """
    ports = [free_port() for _ in _SLOTS]
    settings: dict[str, object] = {}
    if hostname is not None:
        settings = {"cluster-announce-hostname": hostname, "cluster-preferred-endpoint-type": "hostname"}
    with tempfile.TemporaryDirectory(prefix="puff-cluster-") as folder:
        cluster = OwnCluster(Path(folder), ports, settings)
        try:
            with _terminators(context, dict(zip(ports, cluster.nodes, strict=True))):
                yield cluster, ports
        finally:
            cluster.kill()


@contextlib.contextmanager
def _terminators(context: ssl.SSLContext, nodes: dict[int, OwnValkey]) -> Iterator[None]:
    """Listens with TLS on each port, and passes what comes on to the node, on a thread of its own."""
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        if not writer.is_closing():
            writer.close()

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for port, node in nodes.items():

                async def pass_on(
                    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: OwnValkey = node
                ) -> None:
                    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", node.port)
                    try:
                        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
                    finally:
                        for each in (inner_writer, writer):
                            each.transport.abort()

                await stack.enter_async_context(
                    await asyncio.start_server(pass_on, "127.0.0.1", port, ssl=context)
                )
            ready.set()
            await stopped.wait()

    async def end() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # what they have ended is closed now

    stopped = asyncio.Event()

    def run() -> None:
        loop.set_exception_handler(lambda *_: None)  # clients that refuse a certificate
        loop.run_until_complete(serve())
        loop.run_until_complete(end())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(30)
