"""The Django example under load: transactions that are apart, and services that die and come back.

`PUFF_CHECKER_SECONDS` says how long the checker runs; 15 by default.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
import polls_site
import pytest
from own_postgres import PASSWORD, OwnPostgres, own_postgres
from own_valkey import OwnValkey, own_valkey
from stack import Serve, Server
from support import eventually

SECONDS = float(os.environ.get("PUFF_CHECKER_SECONDS", "15"))
CLIENTS = 200
POOL = 20
PATIENCE = 6
"""Seconds that any answer takes at most, whatever happens; Redis is given five."""

SETTINGS = """
import os

from puff_django_example.settings import *

ROOT_URLCONF = "marks_urls"
DATABASES["default"]["OPTIONS"]["pool"]["timeout"] = float(os.environ.get("POOL_TIMEOUT", "10"))
DATABASES["default"]["OPTIONS"]["pool"]["min_size"] = int(os.environ.get("POOL_MIN", "0"))
"""
URLS = """
import puff
from django.db import connection, transaction
from django.http import JsonResponse
from django.urls import path
from puff_django_example.urls import urlpatterns as site


def ask(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


def marked(request, mark, milliseconds):
    # Holds a transaction for a while: half of the time PostgreSQL works, half of it nobody does.
    pause = milliseconds / 2000
    mine = connection
    with transaction.atomic():
        before = ask("SELECT pg_backend_pid(), pg_current_xact_id()::text")
        ask("INSERT INTO mark (id, done) VALUES (%s, false)", mark)
        ask("SELECT pg_sleep(%s)", pause)
        puff.sleep(pause)
        undone = [id for (id,) in ask("SELECT id FROM mark WHERE NOT done")]
        after = ask("SELECT pg_backend_pid(), pg_current_xact_id()::text")
        ask("UPDATE mark SET done = true WHERE id = %s", mark)
    request.session["marks"] = request.session.get("marks", []) + [mark]
    answer = {"undone": undone, "same": before == after, "pid": before[0][0]}
    return JsonResponse({**answer, "marks": request.session["marks"]})


def pool(request):
    return JsonResponse(connection.pool.status())


urlpatterns = [path("mark/<int:mark>/<int:milliseconds>", marked), path("pool", pool), *site]
"""


@dataclass
class Site:
    """The example with servers of its own, which tests may kill."""

    folder: Path
    postgres: OwnPostgres
    valkey: OwnValkey

    @property
    def variables(self) -> dict[str, str]:
        where = f"127.0.0.1:{self.postgres.port}/postgres"
        return {
            "PUFF_POSTGRES_URL": f"postgres://tester:{quote(PASSWORD)}@{where}",
            "PUFF_REDIS_URL": self.valkey.url,
            "PYTHONUNBUFFERED": "1",
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with own_postgres() as postgres, own_valkey() as valkey:
        site = Site(polls_site.copy_to(tmp_path_factory.mktemp("polls") / "site"), postgres, valkey)
        (site.folder / "marks_settings.py").write_text(SETTINGS)
        (site.folder / "marks_urls.py").write_text(URLS)
        sizes = ["--questions=20", "--votes=400", "--comments=20", "--users=40"]
        polls_site.fill(site.folder, *sizes, **site.variables)
        site.postgres.ask("CREATE TABLE mark (id int PRIMARY KEY, done bool NOT NULL)")
        yield site


# ---------------------------------------------------------------- transactions and sessions are apart


@dataclass
class Checker:
    """Clients that mark rows, each within its own session."""

    url: str
    marks: Iterator[int] = field(default_factory=lambda: iter(range(1, 10**9)))
    answers: int = 0
    slowest: float = 0
    pids: set[int] = field(default_factory=set)

    async def run(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(self._client(deadline) for _ in range(CLIENTS)))

    async def _client(self, deadline: float) -> None:
        mine: list[int] = []
        jar = aiohttp.CookieJar(unsafe=True)  # of an address rather than a name
        async with aiohttp.ClientSession(self.url, cookie_jar=jar) as client:
            while time.monotonic() < deadline:
                mine.append(next(self.marks))
                begin = time.monotonic()
                async with client.get(f"/mark/{mine[-1]}/50") as answer:
                    assert answer.status == 200, await answer.text()
                    found = await answer.json()
                self.slowest = max(self.slowest, time.monotonic() - begin)
                self.answers += 1
                self.pids.add(found["pid"])
                # Its own row and no other's: those of transactions that go on are not to be seen.
                assert found["undone"] == [mine[-1]]
                assert found["marks"] == mine, "another client's session"
                assert found["same"], "another transaction"


def test_two_hundred_transactions_on_twenty_sessions(site: Site, serve: Serve) -> None:
    # On a machine with little to give, the last of two hundred waits long; it is not to be given up.
    environment = {**site.variables, "DJANGO_SETTINGS_MODULE": "marks_settings", "POOL_TIMEOUT": "30"}
    with serve(cwd=site.folder, env=environment) as server:
        checker = Checker(server.url)
        asyncio.run(checker.run(SECONDS))
        print(f"{checker.answers} transactions, the slowest request took {checker.slowest:.2f} s")
        assert checker.answers > CLIENTS
        assert 1 < len(checker.pids) <= POOL
        assert site.postgres.ask("SELECT count(*), bool_and(done) FROM mark") == [(checker.answers, True)]

        # All sessions are back, and none is in a transaction.
        status = server.get("/pool").json()
        assert (status["in_use"], status["waiting"]) == (0, 0)
        assert status["size"] <= POOL
        others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        assert site.postgres.ask(f"SELECT DISTINCT state {others}") == [("idle",)]
        assert "Traceback" not in server.log.read_text()


def test_nobody_waits_for_a_session_less_than_is_configured(site: Site, serve: Serve) -> None:
    environment = {**site.variables, "DJANGO_SETTINGS_MODULE": "marks_settings", "POOL_TIMEOUT": "2"}
    environment["POOL_MIN"] = str(POOL)

    async def ask(mark: int, milliseconds: int) -> tuple[int, float]:
        begin = time.monotonic()
        path = f"/mark/{mark}/{milliseconds}"
        async with aiohttp.ClientSession(server.url) as client, client.get(path) as answer:
            return answer.status, time.monotonic() - begin

    async def all_at_once() -> list[tuple[int, float]]:
        return await asyncio.gather(*(ask(2_000_000_000 + number, 8000) for number in range(2 * POOL)))

    with serve(cwd=site.folder, env=environment) as server:
        assert server.get("/").status == 200  # what is slow but once is done
        # To open a session takes its time as well.
        assert eventually(lambda: server.get("/pool").json()["idle"] == POOL, 60)
        answers = asyncio.run(all_at_once())
        assert Counter(status for status, _ in answers) == {200: POOL, 503: POOL}
        waited = [seconds for status, seconds in answers if status == 503]
        assert min(waited) >= 2, waited
        refused = "no PostgreSQL connection became free within 2 s"
        assert eventually(lambda: server.log.read_text().count(refused) >= POOL), server.log.read_text()
        log = server.log.read_text()
        assert log.count(refused) == POOL, log
        assert "Traceback" not in log


# ---------------------------------------------------------------- services die and come back


class Voter:
    """Somebody who has signed up and votes, over and over."""

    def __init__(self, client: aiohttp.ClientSession, choices: dict[int, list[int]]) -> None:
        self.client = client
        self.name = ""
        self._choices = choices
        self._luck = random.Random(1)
        self.possible: dict[int, set[int | None]] = {}
        """What may be the vote on each question, by what the site has said."""

    async def sign_up(self, name: str) -> None:
        self.name = name
        form = {"username": name, "email": f"{name}@example.com"}
        form |= {"password1": "f9-Kx_2p", "password2": "f9-Kx_2p"}
        (await self.client.get("/sign-up/")).release()
        answer = await self._post("/sign-up/", form)
        assert answer.status == 302, await answer.text()

    async def vote(self) -> aiohttp.ClientResponse:
        question, choices = self._luck.choice(list(self._choices.items()))
        choice = self._luck.choice(choices)
        # Until the answer comes, and if none does, it may count or not.
        known = self.possible.setdefault(question, {None})
        known.add(choice)
        answer = await self._post(f"/polls/{question}/vote/", {"choice": str(choice)})
        if answer.status == 302:
            self.possible[question] = {choice}
        return answer

    async def _post(self, path: str, form: dict[str, str]) -> aiohttp.ClientResponse:
        [token] = [cookie.value for cookie in self.client.cookie_jar if cookie.key == "csrftoken"]
        headers = {"X-CSRFToken": token}
        return await self.client.post(path, data=form, headers=headers, allow_redirects=False)


@dataclass
class Traffic:
    """Visitors of several kinds, each asking again as soon as it is answered."""

    url: str
    choices: dict[int, list[int]]
    voters: list[Voter] = field(default_factory=list)
    got: Counter[tuple[str, int]] = field(default_factory=Counter)
    """How many answers there were, by the visitor's kind and the status."""
    slowest: dict[str, float] = field(default_factory=dict)

    async def during(self, incident: Callable[[], Awaitable[None]]) -> None:
        """Runs until what happens meanwhile is over."""
        over = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            reader = await stack.enter_async_context(self._client())
            for number in range(6):
                voter = Voter(await stack.enter_async_context(self._client()), self.choices)
                await voter.sign_up(f"voter{secrets.token_hex(4)}{number}")
                self.voters.append(voter)
            page = f"/polls/{next(iter(self.choices))}/"
            kinds = {"about": lambda: reader.get("/about/"), "list": lambda: reader.get("/")}
            kinds["page"] = lambda: reader.get(page)
            kinds["graphql"] = lambda: reader.post("/graphql", json={"query": "{ questions { id } }"})
            asking = [self._ask(kind, ask, over) for kind, ask in kinds.items()]
            asking += [self._ask("vote", voter.vote, over) for voter in self.voters]
            tasks = [asyncio.create_task(each) for each in asking]
            try:
                await incident()
            finally:
                over.set()
                await asyncio.gather(*tasks)

    def count(self, kind: str) -> dict[int, int]:
        return {status: count for (each, status), count in self.got.items() if each == kind}

    async def until(self, kind: str, status: int, more: int = 20) -> None:
        """Waits for so many more answers of this kind."""
        wanted = self.got[kind, status] + more
        deadline = time.monotonic() + 30
        while self.got[kind, status] < wanted:
            assert time.monotonic() < deadline, (kind, status, self.got)
            await asyncio.sleep(0.01)

    def _client(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.url, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def _ask(
        self, kind: str, ask: Callable[[], Awaitable[aiohttp.ClientResponse]], over: asyncio.Event
    ) -> None:
        while not over.is_set():
            begin = time.monotonic()
            answer = await ask()
            text = await answer.text()
            self.slowest[kind] = max(self.slowest.get(kind, 0), time.monotonic() - begin)
            # GraphQL says in its answer what is wrong.
            wrong = kind == "graphql" and "errors" in json.loads(text)
            self.got[kind, 503 if wrong else answer.status] += 1
            await asyncio.sleep(0.005)


def check_votes(site: Site, voters: list[Voter]) -> None:
    """Nothing is half written, and what the site has said is true."""
    wrong = """
        SELECT choice.id, choice.votes, count(vote.id) FROM polls_choice choice
        LEFT JOIN polls_vote vote ON vote.choice_id = choice.id GROUP BY choice.id
        HAVING choice.votes <> count(vote.id)
    """
    assert site.postgres.ask(wrong) == []
    votes = """
        SELECT username, vote.question_id, choice_id FROM polls_vote vote JOIN auth_user u ON u.id = user_id
    """
    found = {(name, question): choice for name, question, choice in site.postgres.ask(votes)}
    for voter in voters:
        for question, possible in voter.possible.items():
            assert found.get((voter.name, question)) in possible


@pytest.fixture
def traffic(site: Site, serve: Serve) -> Iterator[tuple[Traffic, Server]]:
    choices: dict[int, list[int]] = {}
    for question, choice in site.postgres.ask(
        "SELECT question_id, c.id FROM polls_choice c JOIN polls_question q ON q.id = question_id "
        "WHERE closes_at IS NULL"
    ):
        choices.setdefault(question, []).append(choice)
    with serve(cwd=site.folder, env=site.variables) as server:
        yield Traffic(server.url, choices), server


def test_postgres_dies_and_comes_back(site: Site, traffic: tuple[Traffic, Server]) -> None:
    visitors, server = traffic

    async def incident() -> None:
        await visitors.until("vote", 302)
        site.postgres.rest = 8
        os.kill(site.postgres.postmaster, signal.SIGQUIT)
        for kind in ("list", "page", "graphql", "vote"):
            await visitors.until(kind, 503)
        await visitors.until("about", 200, 3)
        await visitors.until("list", 200)
        await visitors.until("graphql", 200)
        await visitors.until("vote", 302)

    asyncio.run(visitors.during(incident))
    print(dict(visitors.got), visitors.slowest)
    # What needs no database does not notice; the rest says so, and soon.
    assert visitors.count("about").keys() == {200}
    for kind in ("list", "page", "graphql"):
        assert visitors.count(kind).keys() == {200, 503}
    assert visitors.count("vote").keys() == {302, 503}
    assert max(visitors.slowest.values()) < PATIENCE
    check_votes(site, visitors.voters)
    log = server.log.read_text()
    assert "503 /: " in log
    assert "Traceback" not in log


def test_valkey_dies_and_comes_back(site: Site, traffic: tuple[Traffic, Server]) -> None:
    visitors, server = traffic
    [live] = [f"/polls/{question}/live/" for question in list(visitors.choices)[:1]]

    async def incident() -> None:
        async with aiohttp.ClientSession(server.url) as client, client.get(live) as stream:
            heard: list[bytes] = []
            listening = asyncio.create_task(listen(stream, heard))
            await visitors.until("vote", 302)
            await asyncio.to_thread(site.valkey.kill)
            await visitors.until("vote", 302, 50)
            await visitors.until("list", 200)
            answer = await asyncio.to_thread(server.get, live)
            assert answer.status == 503
            before = len(heard)
            await asyncio.to_thread(site.valkey.start)
            await visitors.until("vote", 302, 50)
            # Who has looked at the question all the while hears of votes again.
            await asyncio.to_thread(eventually, lambda: len(heard) > before, 30)
            assert len(heard) > before
            listening.cancel()

    async def listen(stream: aiohttp.ClientResponse, heard: list[bytes]) -> None:
        async for line in stream.content:
            if line.startswith(b"data:"):
                heard.append(line)

    asyncio.run(visitors.during(incident))
    print(dict(visitors.got), visitors.slowest)
    # Only the live numbers need it.
    for kind, status in {"about": 200, "list": 200, "page": 200, "graphql": 200, "vote": 302}.items():
        assert visitors.count(kind).keys() == {status}
    assert max(visitors.slowest.values()) < PATIENCE
    check_votes(site, visitors.voters)
    log = server.log.read_text()
    assert "were not announced" in log
    assert "no live votes for question" in log
    assert "Traceback" not in log
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", live)
        assert connection.getresponse().status == 200
