"""The schemas that users write, whole: a chat over SQL and objects, and a Django app."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from puff.graphql import SchemaError, build_schema, load_schema

CheckSdl = Callable[[str], Any]
Write = Callable[..., Path]

# The chat of the examples, on a stand-in for the service that a running program has.
_EXAMPLE = Path(__file__).parents[3] / "examples" / "puff-and-graphql" / "my_python_gql_app.py"
CHAT = (
    _EXAMPLE.read_text()
    .replace("puff.global_pubsub()", "stand_in.PubSub()")
    .replace("import puff", "import stand_in", 1)
)
FUTURE = "from __future__ import annotations\n"

STAND_IN = """
class Connection:
    def subscribe(self, channel):
        pass

    def receive(self):
        return None

class PubSub:
    def new_connection_id(self):
        return "id-1"

    def connection(self):
        return Connection()

    def connection_with_id(self, id):
        return Connection()

    def publish_as(self, connection_id, channel, message):
        return True
"""

CHAT_SDL = """\
type Query {
  hello_world(my_input: Int!): [DbObject!]!
  hello_world_object(my_input: [SomeInputObject!]!): [SomeObject!]!
  new_connection_id: String!
}

type Mutation {
  send_message_to_channel(connection_id: String!, message: String!): Boolean!
}

type Subscription {
  read_messages_from_channel(connection_id: String = null): MessageObject!
}

type DbObject {
  was_input: Int!
  title: String!
  child_sub_query: DbObject!
}

type SomeObject {
  field1: Int!
  field2: String!
}

type MessageObject {
  message_text: String!
  from_connection_id: String!
  num_processed: Int!
}

input SomeInputObject {
  some_count: Int!
  some_string: String!
}
"""

DJANGO = """
import puff
from dataclasses import dataclass
from typing import Any, List, Tuple
from polls.models import Question, Choice
from django.utils import timezone
from helpers import borrow_db_context, query_and_params


@dataclass
class ChoiceObject:
    id: int
    question_id: int
    choice_text: str
    votes: int


@dataclass
class QuestionObject:
    id: int
    pub_date: str
    question_text: str

    @classmethod
    def choices(cls, context, /) -> Tuple[List[ChoiceObject], str, List[Any], List[str], List[str]]:
        parent_values = [r[0] for r in context.parent_values(["id"])]
        qs = Choice.objects.filter(question_id__in=parent_values)
        sql_q, params = puff.contrib.django.query_and_params(qs)
        return ..., sql_q, params, ["id"], ["question_id"]


@dataclass
class Query:

    @classmethod
    def questions(cls, context, /) -> Tuple[List[QuestionObject], str, List[Any]]:
        qs = Question.objects.all()
        sql_q, params = query_and_params(qs)
        return ..., sql_q, params

    @classmethod
    @borrow_db_context
    def question_objs(cls, context, /) -> Tuple[List[QuestionObject], List[Any]]:
        objs = list(Question.objects.all())
        return ..., objs


@dataclass
class Mutation:
    @classmethod
    @borrow_db_context
    def create_question(cls, context, /, question_text: str) -> QuestionObject:
        question = Question.objects.create(question_text=question_text, pub_date=timezone.now())
        return question

@dataclass
class Subscription:
    pass

@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription
"""

DJANGO_SDL = """\
type Query {
  questions: [QuestionObject!]!
  question_objs: [QuestionObject!]!
}

type Mutation {
  create_question(question_text: String!): QuestionObject!
}

type QuestionObject {
  id: Int!
  pub_date: String!
  question_text: String!
  choices: [ChoiceObject!]!
}

type ChoiceObject {
  id: Int!
  question_id: Int!
  choice_text: String!
  votes: Int!
}
"""

HELPERS = """
import functools

def borrow_db_context(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

def query_and_params(queryset):
    return "SELECT 1", []
"""


class Context:
    """What the engine hands a resolver, as far as the example uses it."""

    auth_token = "secret"

    def parent_values(self, names: list[str]) -> list[tuple[Any, ...]]:
        assert names == ["field1"]
        return [(1,), (2,)]


@pytest.fixture
def chat(write: Write) -> Any:
    write("stand_in", STAND_IN, header=False)
    write("chat", CHAT, header=False)
    return importlib.import_module("chat")


def test_chat_sdl(chat: Any, check_sdl: CheckSdl) -> None:
    definition = build_schema(chat.Schema)
    assert definition.sdl == CHAT_SDL
    check_sdl(definition.sdl)
    assert build_schema(chat.Schema).sdl == CHAT_SDL  # the same text each time
    assert definition.attributes == ()


def test_chat_resolvers(chat: Any) -> None:
    resolvers = build_schema(chat.Schema).resolvers
    table = [(r.type_name, r.field_name, r.takes_parents, r.subscription, r.returns) for r in resolvers]
    assert table == [
        ("Query", "hello_world", True, False, "rows"),
        ("Query", "hello_world_object", True, False, "objects"),
        ("Query", "new_connection_id", False, False, "value"),
        ("Mutation", "send_message_to_channel", False, False, "value"),
        ("Subscription", "read_messages_from_channel", False, True, "value"),
        ("DbObject", "child_sub_query", False, False, "joined"),
    ]
    assert {resolver.kind for resolver in resolvers} == {"python"}


def test_chat_calls(chat: Any) -> None:
    calls = [resolver.call for resolver in build_schema(chat.Schema).resolvers]
    context = Context()
    hello, objects, new_id, send, read, child = [call for call in calls if call is not None]
    assert hello([], context, {"my_input": 3})[2] == [3]
    _, objs = objects([], context, {"my_input": [{"some_count": 7, "some_string": "x"}]})
    assert objs == [chat.SomeObject(0, "Python object"), chat.SomeObject(7, "x")]
    assert new_id([], context, {}) == "id-1"
    assert send([], context, {"connection_id": "a", "message": "b"}) is True
    assert list(read([], context, {"connection_id": None})) == []
    assert child([], context, {})[2:] == ([[1, 2], "from child"], ["field1"], ["was_input"])


def test_chat_in_camel_case(chat: Any, check_sdl: CheckSdl) -> None:
    definition = build_schema(chat.Schema, camel_case=True)
    check_sdl(definition.sdl)
    assert "helloWorldObject(myInput: [SomeInputObject!]!): [SomeObject!]!" in definition.sdl
    assert definition.attributes == (
        ("DbObject", "wasInput", "was_input"),
        ("MessageObject", "messageText", "message_text"),
        ("MessageObject", "fromConnectionId", "from_connection_id"),
        ("MessageObject", "numProcessed", "num_processed"),
    )
    objects = definition.resolvers[1].call
    assert objects is not None
    _, objs = objects([], Context(), {"myInput": [{"someCount": 7, "someString": "x"}]})
    assert objs[1] == chat.SomeObject(7, "x")


def test_chat_without_future_import_says_what_to_add(write: Write) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("hints are evaluated late from Python 3.14 on")
    assert CHAT.startswith(FUTURE)
    write("stand_in", STAND_IN, header=False)
    write("chat", CHAT.removeprefix(FUTURE), header=False)
    with pytest.raises(
        SchemaError, match=r"name 'DbObject' is not defined.*from __future__ import annotations"
    ):
        load_schema("chat.Schema")


def test_django_sdl(write: Write, check_sdl: CheckSdl, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("polls", "polls.models", "django", "django.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["polls.models"].__dict__.update(Question=object, Choice=object)
    sys.modules["django.utils"].__dict__.update(timezone=object)
    write("helpers", HELPERS, header=False)
    write("app", DJANGO, header=False)  # needs no __future__ import: no class is named before its end
    definition = build_schema(load_schema("app"))
    check_sdl(definition.sdl)
    assert definition.sdl == DJANGO_SDL
    assert [resolver.field_name for resolver in definition.resolvers] == [
        "questions",
        "question_objs",
        "create_question",
        "choices",
    ]
