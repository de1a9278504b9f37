"""Greenlets that wait in `async_to_sync` and are killed: the coroutine ends too, and so does the program."""

from __future__ import annotations

from stack import Project, Run

PROGRAM = """
import asyncio
import threading

from asgiref.sync import async_to_sync, sync_to_async

import puff
from puff.compat import asgiref

asgiref.install()
said = []


async def asks_again():
    said.append("begun")
    try:
        for _ in range(1000):
            await asyncio.sleep(0.01)
            await sync_to_async(int)("7")
    finally:
        said.append("ended")


def main():
    for _ in range(3):
        waiting = puff.spawn(async_to_sync(asks_again))
        while said[-1:] != ["begun"]:
            puff.sleep(0.01)
        puff.sleep(0.05)
        waiting.kill()
        while said[-1:] != ["ended"]:
            puff.sleep(0.01)
    try:
        with puff.timeout(0.1):
            async_to_sync(asks_again)()
    except TimeoutError:
        said.append("in time")
    for _ in range(1000):
        if said.count("ended") == 4:
            break
        puff.sleep(0.01)
    print(said.count("begun"), said.count("ended"), "in time" in said)
"""


def test_a_killed_caller_leaves_no_thread(new_project: Project, puff: Run) -> None:
    done = puff("run", "program.main", cwd=new_project({"program.py": PROGRAM}, services=False), timeout=60)
    assert (done.returncode, done.stdout) == (0, "4 4 True\n"), done.stderr
