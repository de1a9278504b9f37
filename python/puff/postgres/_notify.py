"""`Notify`: a message of LISTEN and NOTIFY."""

from __future__ import annotations

__all__ = ["Notify"]


class Notify:
    """A notification: the sender's backend, the channel, and the payload.

    It unpacks as (pid, channel), and is equal to such a pair.
    """

    __slots__ = ("channel", "payload", "pid")
    __module__ = "puff.postgres.extensions"

    def __init__(self, pid: int, channel: str, payload: str = "") -> None:
        self.pid = pid
        self.channel = channel
        self.payload = payload

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int | str:
        if not -2 <= index < 2:
            raise IndexError("index out of range")
        return (self.pid, self.channel)[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Notify):
            return (self.pid, self.channel, self.payload) == (other.pid, other.channel, other.payload)
        if isinstance(other, tuple):
            return (self.pid, self.channel) == other
        return NotImplemented

    def __hash__(self) -> int:
        if not self.payload:
            return hash((self.pid, self.channel))
        return hash((self.pid, self.channel, self.payload))

    def __repr__(self) -> str:
        return f"Notify({self.pid!r}, {self.channel!r}, {self.payload!r})"
