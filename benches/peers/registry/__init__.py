"""All peers. A new one is an entry in the file of its group."""

from __future__ import annotations

from .django import DJANGO
from .graphql import GRAPHQL
from .peer import Peer
from .polls import POLLS
from .waiting import WAITING
from .wsgi import WSGI

PEERS: tuple[Peer, ...] = (*WSGI, *DJANGO, *POLLS, *WAITING, *GRAPHQL)

__all__ = ["PEERS", "Peer"]
