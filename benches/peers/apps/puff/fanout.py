"""Fan-out: a WebSocket receives what is published to the channels that its query names.

At `/fanout` each client has a greenlet that receives from its pub-sub connection and sends; at `/bound` the
channels are bound to the client.
"""

from __future__ import annotations

import sys

import puff
from puff.pubsub import Message


@puff.websocket("/fanout")
def fanout(ws: puff.WebSocket) -> None:
    """Says `ready` when all channels are subscribed to."""
    connection = puff.global_pubsub().connection()
    try:
        for channel in ws.query["channels"].split(","):
            connection.subscribe(channel)
        ws.send("ready")
        while message := connection.receive():
            assert isinstance(message, Message)  # a gap is logged, as nobody asked for it
            ws.send(message.text)
    finally:
        connection.close()


@puff.websocket("/bound")
def bound(ws: puff.WebSocket) -> None:
    """Says `ready` when all channels are bound."""
    for channel in ws.query["channels"].split(","):
        ws.bind(channel)
    ws.send("ready")
    for _ in ws:
        pass


def publish() -> None:
    """Publishes each line of the standard input: `channel message`.

    Reading holds up the hub, where nothing else runs.
    """
    pubsub = puff.global_pubsub()
    for line in sys.stdin:
        channel, _, message = line.rstrip("\n").partition(" ")
        pubsub.publish(channel, message)


def app(environ, start_response):  # type: ignore[no-untyped-def]
    """Everything else: nothing."""
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]
