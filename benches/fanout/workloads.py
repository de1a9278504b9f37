"""What is published to whom."""

from __future__ import annotations

from dataclasses import dataclass

SOCKETS = 1000
EACH = 10
"""Channels of each socket: 10,000 subscriptions."""

SIZE = 128
"""Bytes of a message."""


@dataclass(frozen=True)
class Workload:
    """A steady rate of messages to all channels in turn.

    Attributes:
        channels: all have equally many subscribers.
        rate: messages a second, in total.
    """

    name: str
    title: str
    channels: int
    rate: int

    @property
    def subscribers(self) -> int:
        """Of each channel."""
        return SOCKETS * EACH // self.channels


WORKLOADS = (
    Workload("spread", "1,000 channels with 10 sockets each, 1,000 messages/s: 10,000 frames/s", 1000, 1000),
    Workload("hot", "10 channels with 1,000 sockets each, 10 messages/s: 10,000 frames/s", 10, 10),
    Workload(
        "calm", "as spread, 100 messages/s: 1,000 frames/s, which every server keeps up with", 1000, 100
    ),
)
