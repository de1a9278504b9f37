"""A chat in rooms: who is there, what is said, and what was said while you were away."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Any

import puff
from puff import graphql
from puff.pubsub import START, Gap, Join, Leave

pubsub = puff.global_pubsub()

KEPT = 200
"""A room keeps so many messages for those who come later or come back..."""
KEPT_SECONDS = 24 * 60 * 60
"""...until nobody has said anything for so long."""

LONGEST_NAME = 40
LONGEST_TEXT = 2000


class Room(enum.Enum):
    """A place to talk in."""

    lobby = "chat:lobby"
    garden = "chat:garden"
    library = "chat:library"


@dataclass
class Message:
    """Somebody said something."""

    position: str
    """Its place in the room; `room(since:)` begins after it."""
    from_connection_id: str
    name: str
    text: str
    said_at: str


@dataclass
class Missed:
    """Messages are missing here: more than the room keeps, or what Redis has lost."""

    count: int | None
    """How many at most, if that is known."""


@dataclass
class Person:
    """Somebody in a room."""

    connection_id: str
    name: str


@dataclass
class Here:
    """Who is in the room now."""

    people: list[Person]


@dataclass
class Came:
    """Somebody came in."""

    person: Person


@dataclass
class Left:
    """Somebody went."""

    person: Person


Event = Annotated[Message | Missed | Here | Came | Left, graphql.union("Event")]


@dataclass
class Query:
    @classmethod
    def rooms(cls, context: Any, /) -> list[Room]:
        return list(Room)

    @classmethod
    def new_connection_id(cls, context: Any, /) -> str:
        """Who you are. Keep it, and your own messages are known as yours after a reconnect."""
        return pubsub.new_connection_id()


@dataclass
class Mutation:
    @classmethod
    def say(cls, context: Any, /, room: Room, connection_id: str, text: str) -> bool:
        """Says something in a room; whether any server has a listener."""
        if not 0 < len(text.strip()) <= LONGEST_TEXT:
            raise graphql.GraphQLError(f"a message has 1 to {LONGEST_TEXT} characters")
        said_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        body = json.dumps({"name": name_of(context), "text": text.strip(), "said_at": said_at})
        return pubsub.publish_as(connection_id, room.value, body, keep=KEPT, keep_seconds=KEPT_SECONDS) > 0


@dataclass
class Subscription:
    @classmethod
    def room(cls, context: Any, /, room: Room, connection_id: str, since: str = START) -> Iterator[Event]:
        """Goes into a room for as long as it lasts: what was said after `since`, then what happens."""
        with pubsub.connection_with_id(connection_id) as connection:
            connection.subscribe(room.value, since=since, gaps=True, presence=True)
            connection.enter(room.value, connection_id, name_of(context))
            yield here(room)
            for event in connection:
                match event:
                    case puff.pubsub.Message():
                        yield Message(event.position, event.from_connection_id, **event.json())
                    case Gap(presence=True):
                        yield here(room)
                    case Gap() if event.missed != 0:
                        yield Missed(event.missed)
                    case Leave():  # before Join, which it is as well
                        yield Left(Person(event.member.id, event.member.info))
                    case Join():
                        yield Came(Person(event.member.id, event.member.info))


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription

    @classmethod
    def connect(cls, context: Any, /) -> None:
        """Asked about each WebSocket, before anything else. A program with accounts looks at a token here."""
        name = str(context.connection_params.get("name", "")).strip()
        if not 0 < len(name) <= LONGEST_NAME:
            raise graphql.ConnectionRejected(f"a name has 1 to {LONGEST_NAME} characters")
        context.state["name"] = name


def name_of(context: Any) -> str:
    """Who asks."""
    if "name" not in context.state:
        raise graphql.Unauthenticated("say who you are: connect with a name")
    return context.state["name"]


def here(room: Room) -> Here:
    """Who is in a room now."""
    return Here([Person(member.id, member.info) for member in pubsub.presence(room.value)])
