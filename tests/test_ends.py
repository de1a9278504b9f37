"""How programs end: whatever their greenlets and threads are doing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Run, running

PROGRAM = """
import atexit
import resource
import sys
import threading
import time

import puff
from puff._hub import current_hub


def stuck_thread():
    puff.spawn(puff.spawn_blocking, threading.Event().wait)
    puff.sleep(0.05)
    print("done")


def left_greenlets():
    def tidy():
        try:
            puff.sleep(60)
        finally:
            puff.sleep(0.01)  # cleaning up may wait
            print("tidied")

    puff.spawn(tidy)
    puff.sleep(0.01)
    atexit.register(print, "at exit")
    return 3


def use_after_the_end():
    def late():
        try:
            puff.sleep(0.01)
        except RuntimeError as error:
            print(error)

    atexit.register(late)


def stubborn_greenlet():
    def stay():
        while True:
            try:
                puff.sleep(60)
            except BaseException:
                pass

    puff.spawn(stay)
    puff.sleep(0.01)
    print("done")


def exits():
    sys.exit("no luck")


def told_threads():
    def tidy():
        try:
            puff.sleep(60)
        finally:
            time.sleep(0.05)  # in C, which the end of Python would cut off
            print("tidied", flush=True)

    puff.spawn(puff.spawn_blocking, tidy)
    while not current_hub()._outside._waits:  # it has not begun to sleep
        puff.sleep(0.005)


def many_threads():
    inside, most, gate, three = [], [], threading.Event(), threading.Barrier(3)

    def call():
        inside.append(1)
        most.append(len(inside))
        three.wait(30)
        gate.wait(0.05)
        inside.pop()

    puff.join_all([puff.spawn(puff.spawn_blocking, call) for _ in range(12)])
    print("at most", max(most))


def waiting_threads():
    def body(wait):
        try:
            wait()
        except RuntimeError as error:
            said.append(str(error))

    def spawn_for_ever():
        while True:
            puff.spawn(int).join()  # sooner or later it is spawned, and not begun any more

    said = []
    waits = [puff.Event().wait, puff.Queue().get, spawn_for_ever, lambda: puff.sleep(60)]
    threads = [threading.Thread(target=body, args=(wait,)) for wait in waits * 2]  # no daemons
    for thread in threads:
        thread.start()
    puff.sleep(0.1)

    def report():
        print(len(said), *set(said))

    atexit.register(report)


def no_more_threads():
    threading.stack_size(512 << 20)  # more than what is cached of others
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), before[1]))
    for _ in range(3):
        try:
            puff.spawn_blocking(len, "four")
        except RuntimeError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_AS, before)
    print(puff.spawn_blocking(len, "four"))


def slow_to_end():
    try:
        print("ready", flush=True)
        puff.sleep(60)
    finally:
        print("ending", flush=True)
        puff.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_a_blocking_call_that_never_returns_does_not_keep_the_program(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.stuck_thread", cwd=folder)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_greenlets_that_are_left_clean_up_before_atexit(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.left_greenlets", cwd=folder)
    assert (ended.returncode, ended.stdout) == (3, "tidied\nat exit\n"), ended.stderr


def test_blocking_calls_that_wait_for_puff_clean_up(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.told_threads", cwd=folder)
    assert (ended.returncode, ended.stdout) == (0, "tidied\n"), ended.stderr


def test_after_the_end_there_is_no_runtime(folder: Path, puff: Run) -> None:
    said = "the Puff runtime of this process has ended: what runs at exit can use Python only\n"
    ended = puff("run", "program.use_after_the_end", cwd=folder)
    assert (ended.returncode, ended.stdout) == (0, said), ended.stderr
    plain = puff("python", "-c", "import program; program.use_after_the_end()", cwd=folder)
    assert (plain.returncode, plain.stdout) == (0, said), plain.stderr


def test_a_greenlet_that_will_not_go_is_left_behind(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.stubborn_greenlet", cwd=folder)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_sys_exit_with_a_text(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.exits", cwd=folder)
    assert (ended.returncode, ended.stderr) == (1, "no luck\n")


def test_the_number_of_blocking_threads_is_a_setting(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.many_threads", cwd=folder, env={"PUFF_BLOCKING_THREADS": "3"})
    assert ended.stdout == "at most 3\n", ended.stderr


def test_threads_that_wait_learn_that_the_program_has_ended(folder: Path, puff: Run) -> None:
    said = "the Puff runtime of this process has ended: what runs at exit can use Python only"
    ended = puff("run", "program.waiting_threads", cwd=folder, timeout=30)
    assert (ended.returncode, ended.stdout) == (0, f"8 {said}\n"), ended.stderr


def test_a_thread_that_cannot_be_started_is_an_error_and_no_place_is_lost(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.no_more_threads", cwd=folder, env={"PUFF_BLOCKING_THREADS": "2"})
    assert (ended.returncode, ended.stdout) == (0, "can't start new thread\n" * 3 + "4\n"), ended.stderr


def test_a_second_ctrl_c_does_not_wait_for_what_the_first_one_began(folder: Path) -> None:
    with running("run", "program.slow_to_end", cwd=folder) as program:
        program.wait_for("ready\n")
        program.process.send_signal(signal.SIGINT)
        program.wait_for("ending\n")
        assert program.stop(signal.SIGINT) == 130
