"""The channel layer where Channels runs: below uvicorn and in views of `puff`; a Redis that is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_valkey import OwnValkey, own_valkey
from stack import Project, Run, Serve, clean_environment, free_port
from support import eventually
from websockets.sync.client import ClientConnection, connect

from puff.contrib.channels import RedisChannelLayer

ASGI = """
import os

from django.conf import settings

settings.configure(
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "puff.contrib.channels.RedisChannelLayer",
            "CONFIG": {"hosts": [{"address": os.environ["LAYER"], "socket_timeout": 3}]},
        }
    },
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one",
)

import django

django.setup()

from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path


class Chat(AsyncJsonWebsocketConsumer):
    groups = ["chat"]

    async def receive_json(self, content):
        await self.channel_layer.group_send("chat", {"type": "chat.message", "content": content})

    async def chat_message(self, event):
        await self.send_json(event["content"])


class OldChat(JsonWebsocketConsumer):
    groups = ["chat"]

    def receive_json(self, content):
        async_to_sync(self.channel_layer.group_send)("chat", {"type": "chat.message", "content": content})

    def chat_message(self, event):
        self.send_json(event["content"])


def say(request, how):
    layer = get_channel_layer()
    message = {"type": "chat.message", "content": {"from": "a view", "how": how}}
    if how == "greenlet":
        layer.group_send_sync("chat", message)
    else:
        async_to_sync(layer.group_send)("chat", message)
    return JsonResponse({})


urlpatterns = [path("say/<how>", say)]
sockets = URLRouter([path("chat", Chat.as_asgi()), path("old", OldChat.as_asgi())])
asgi = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": sockets})
wsgi = get_wsgi_application()
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def folder(new_project: Project) -> Path:
    return new_project({"app.py": ASGI}, services=False)


@contextlib.contextmanager
def uvicorn(folder: Path, url: str) -> Iterator[str]:
    """The application below uvicorn: where its WebSockets are."""
    with logged_uvicorn(folder, url) as (place, _):
        yield place


@contextlib.contextmanager
def logged_uvicorn(folder: Path, url: str) -> Iterator[tuple[str, Path]]:
    """The same, and its log."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "app:asgi"]
    log = folder / f"uvicorn-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(LAYER=url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            ready = eventually(lambda: "Uvicorn running" in log.read_text() or process.poll() is not None, 60)
            assert ready, log.read_text()
            assert process.poll() is None, log.read_text()
            yield f"ws://127.0.0.1:{port}", log
            process.terminate()
            assert process.wait(20) in (0, -15), log.read_text()
        finally:
            process.kill()
            process.wait()


def heard(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(20))


def joined(sender: ClientConnection, *others: ClientConnection) -> None:
    """Waits until all of them are in the group: each hears what `sender` says."""
    for socket in others:
        for number in range(200):
            sender.send(json.dumps({"are you there": number}))
            with contextlib.suppress(TimeoutError):
                socket.recv(0.1)
                break
        else:
            pytest.fail("a socket hears nothing")
    last = {"all are there": uuid.uuid4().hex}
    sender.send(json.dumps(last))
    for socket in (sender, *others):
        while heard(socket) != last:
            pass


def test_servers_and_views_share_groups(folder: Path, valkey: OwnValkey, serve: Serve, puff: Run) -> None:
    url = f"{valkey.url}/1"
    with contextlib.ExitStack() as stack:
        first, second = [stack.enter_context(uvicorn(folder, url)) for _ in range(2)]
        sockets = [
            stack.enter_context(connect(f"{place}/{path}"))
            for place in (first, second)
            for path in ("chat", "old")
        ]
        joined(sockets[0], *sockets[1:])
        for number, sender in enumerate(sockets):
            sender.send(json.dumps({"n": number}))
            assert [heard(socket) for socket in sockets] == [{"n": number}] * 4
        # A view in a greenlet of puff's, and one that waits for a loop of its own.
        with serve("--wsgi", "app:wsgi", cwd=folder, env={"LAYER": url}) as server:
            for how in ("greenlet", "loop"):
                assert server.get(f"/say/{how}").status == 200
                assert [heard(socket) for socket in sockets] == [{"from": "a view", "how": how}] * 4


def test_a_lost_answer_loses_no_message(valkey: OwnValkey, caplog: pytest.LogCaptureFixture) -> None:
    """Redis takes messages out of the queue for a connection that has been given up meanwhile."""

    async def body() -> None:
        layer = RedisChannelLayer(hosts={"address": f"{valkey.url}/3", "socket_timeout": 2})
        sender = RedisChannelLayer(hosts={"address": f"{valkey.url}/3", "socket_timeout": 20})

        async def is_received(number: int) -> None:
            assert await asyncio.wait_for(layer.receive(channel), 20) == {"type": "a.b", "number": number}

        for channel in (await layer.new_channel(), "normal"):
            await sender.send(channel, {"type": "a.b", "number": 0})
            await is_received(0)
            for number in range(1, 6):
                caplog.clear()
                await sender.send(channel, {"type": "a.b", "number": number})
                valkey.pause()
                try:
                    receiving = asyncio.create_task(is_received(number))
                    # It may have been there before the pause.
                    while "the next attempt is in" not in caplog.text and not receiving.done():
                        await asyncio.sleep(0.01)
                finally:
                    valkey.go_on()
                await receiving
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(layer.receive(channel), 0.5)  # none comes twice

    asyncio.run(asyncio.wait_for(body(), 90))


def test_a_redis_that_forgets(folder: Path, valkey: OwnValkey) -> None:
    with (
        logged_uvicorn(folder, f"{valkey.url}/2") as (place, log),
        connect(f"{place}/chat") as one,
        connect(f"{place}/old") as other,
    ):
        joined(one, other)
        valkey.kill()
        valkey.start()
        assert eventually(lambda: "Redis is back" in log.read_text(), 30)
        # They join their groups again: nobody had to connect anew.
        joined(one, other)
        one.send(json.dumps({"n": 1}))
        assert [heard(socket) for socket in (one, other)] == [{"n": 1}] * 2
        valkey.pause()
        other.send(json.dumps({"n": 2}))
        valkey.go_on()
        assert eventually(lambda: heard(one) == {"n": 2})
