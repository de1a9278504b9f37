"""The data and the one true answer of every workload.

The same functions fill PostgreSQL and give the expected bytes, so that no peer judges another.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

AUTHORS = 100
POSTS_PER_AUTHOR = 10
COMMENTS_PER_POST = 5
QUESTIONS = 100
CHOICES_PER_QUESTION = 5

HELLO = b"Hello, World!"

SCHEMA = """
CREATE TABLE authors (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE posts (
  id int PRIMARY KEY, author_id int NOT NULL REFERENCES authors(id),
  title text NOT NULL, body text NOT NULL, views int NOT NULL, published boolean NOT NULL
);
CREATE INDEX posts_author_id ON posts(author_id);
CREATE TABLE comments (id int PRIMARY KEY, post_id int NOT NULL REFERENCES posts(id), body text NOT NULL);
CREATE INDEX comments_post_id ON comments(post_id);
CREATE TABLE polls_question (id int PRIMARY KEY, question_text text NOT NULL);
CREATE TABLE polls_choice (
  id int PRIMARY KEY, question_id int NOT NULL REFERENCES polls_question(id),
  choice_text text NOT NULL, votes int NOT NULL
);
CREATE INDEX polls_choice_question_id ON polls_choice(question_id);
"""

# fmt: off
_WORDS = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)
# fmt: on

Row = tuple[int | str | bool, ...]


def _text(seed: int, words: int) -> str:
    return " ".join(_WORDS[(seed * 7 + i * 5 + seed // 11) % len(_WORDS)] for i in range(words))


def _parent(child: int, per_parent: int) -> int:
    return (child - 1) // per_parent + 1


def authors() -> list[tuple[int, str]]:
    """Rows of `authors`."""
    return [(a, f"Author {a:03d} {_text(a, 1)}") for a in range(1, AUTHORS + 1)]


def posts() -> list[tuple[int, int, str, str, int, bool]]:
    """Rows of `posts`."""
    return [
        (
            p,
            _parent(p, POSTS_PER_AUTHOR),
            f"Post {p} {_text(p, 3)}",
            _text(p + 3, 7),
            (p * 37) % 10007,
            p % 3 != 0,
        )
        for p in range(1, AUTHORS * POSTS_PER_AUTHOR + 1)
    ]


def comments() -> list[tuple[int, int, str]]:
    """Rows of `comments`; their quotes need an escape in JSON."""
    return [
        (c, _parent(c, COMMENTS_PER_POST), f'Comment {c} says "{_text(c, 4)}"')
        for c in range(1, AUTHORS * POSTS_PER_AUTHOR * COMMENTS_PER_POST + 1)
    ]


def questions() -> list[tuple[int, str]]:
    """Rows of `polls_question`."""
    return [(q, f"Question {q}: {_text(q, 5)}?") for q in range(1, QUESTIONS + 1)]


def choices() -> list[tuple[int, int, str, int]]:
    """Rows of `polls_choice`."""
    return [
        (c, _parent(c, CHOICES_PER_QUESTION), _text(c, 2), (c * 13) % 997)
        for c in range(1, QUESTIONS * CHOICES_PER_QUESTION + 1)
    ]


def script() -> str:
    """What `psql` runs to make the tables and fill them."""
    tables: list[tuple[str, list[Any]]] = [
        ("authors", authors()),
        ("posts", posts()),
        ("comments", comments()),
        ("polls_question", questions()),
        ("polls_choice", choices()),
    ]
    copies = "".join(f"COPY {table} FROM stdin;\n{_copy_text(rows)}\\.\n" for table, rows in tables)
    return f"{SCHEMA}\n{copies}VACUUM (ANALYZE, FREEZE);\n"


def _copy_text(rows: list[Row]) -> str:
    return "".join("\t".join(map(_copy_field, row)) + "\n" for row in rows)


def _copy_field(value: int | str | bool) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    text = str(value)
    assert not {"\\", "\t", "\n"} & set(text), f"would need an escape in COPY: {text!r}"
    return text


def questions_answer(limit: int = 20) -> bytes:
    """The Django view's answer."""
    of: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for c, q, text, votes in choices():
        of[q].append({"id": c, "text": text, "votes": votes})
    return _json([{"id": q, "text": text, "choices": of[q]} for q, text in questions()[:limit]])


def polls_answer(limit: int = 20) -> bytes:
    """GraphQL: questions and their choices."""
    of: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for c, q, text, votes in choices():
        of[q].append({"id": c, "choiceText": text, "votes": votes})
    rows = [{"id": q, "questionText": text, "choices": of[q]} for q, text in questions()[:limit]]
    return _json({"data": {"questions": rows}})


def nested_answer(limit: int = 20) -> bytes:
    """GraphQL: authors, their posts, their comments."""
    comments_of: dict[int, list[dict[str, Any]]] = defaultdict(list)
    posts_of: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for c, p, body in comments():
        comments_of[p].append({"id": c, "body": body})
    for p, a, title, *_ in posts():
        posts_of[a].append({"id": p, "title": title, "comments": comments_of[p]})
    rows = [{"id": a, "name": name, "posts": posts_of[a]} for a, name in authors()[:limit]]
    return _json({"data": {"authors": rows}})


def flat_answer(limit: int = 1000) -> bytes:
    """GraphQL: posts with all their columns."""
    names = ("id", "authorId", "title", "body", "views", "published")
    return _json({"data": {"posts": [dict(zip(names, row, strict=True)) for row in posts()[:limit]]}})


def hello_answer() -> bytes:
    """GraphQL: one field without data."""
    return _json({"data": {"hello": "world"}})


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
