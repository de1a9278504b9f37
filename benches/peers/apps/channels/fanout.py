"""Fan-out by Django Channels: a consumer in the groups that its query names, by the layer of BENCH_LAYER.

`python -m fanout` publishes each line of the standard input: `channel message`.
"""

import asyncio
import os
import sys
from urllib.parse import parse_qs

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

if not settings.configured:
    layer = {"hosts": [os.environ["BENCH_REDIS_URL"]]}
    if os.environ["BENCH_LAYER"].endswith(".RedisChannelLayer"):
        layer["capacity"] = 100_000  # its default of 100 messages, for the whole process, drops the rest
    settings.configure(
        SECRET_KEY="bench",
        INSTALLED_APPS=["channels"],
        CHANNEL_LAYERS={"default": {"BACKEND": os.environ["BENCH_LAYER"], "CONFIG": layer}},
    )
    django.setup()


class Fanout(AsyncWebsocketConsumer):
    async def connect(self):
        query = parse_qs(self.scope["query_string"].decode())
        self.names = query["channels"][0].split(",")
        await self.accept()
        for name in self.names:
            await self.channel_layer.group_add(name, self.channel_name)
        await self.send("ready")

    async def disconnect(self, code):
        for name in self.names:
            await self.channel_layer.group_discard(name, self.channel_name)

    async def fanout_message(self, event):
        await self.send(event["text"])


async def publish():
    # Reading holds up the event loop, where nothing else runs.
    layer = get_channel_layer()
    for line in sys.stdin:
        name, _, text = line.rstrip("\n").partition(" ")
        await layer.group_send(name, {"type": "fanout.message", "text": text})


application = ProtocolTypeRouter({"websocket": URLRouter([path("fanout", Fanout.as_asgi())])})

if __name__ == "__main__":
    asyncio.run(publish())
