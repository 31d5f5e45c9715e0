"""Jobs at work: one in this process, or several in processes of their own, which report and are told to stop.

The first of several begins alone until it has read something: what has to be compiled is compiled once, and read from
the disk by the others.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import NamedTuple

from streammon.core.errors import Refusal, UsageError
from streammon.replay.job import Job, Reached, work

EVERY = 0.1  # seconds between two reports
BEGIN, STOP = "begin", "stop"  # what a process is told


class Worked(NamedTuple):
    finished: bool  # False: it was told to stop
    seconds: float  # since all processes were there
    cpu: float  # seconds, of other processes than this one


def run(jobs: Sequence[Job], reached: Reached, stopping: Callable[[], bool]) -> Worked:
    """Until all jobs are at their end, or `stopping()`. What one of them raises is raised here, and ends the others."""
    if len(jobs) == 1:
        started = time.monotonic()
        return Worked(work(jobs[0], reached, stopping), time.monotonic() - started, 0.0)
    context = get_context("spawn")  # a fork of a process that has threads, as torch's, may wait for ever
    children: list[_Child] = []
    try:
        for job in jobs:
            here, there = context.Pipe()
            process = context.Process(target=_child, args=(job, there), daemon=True)
            process.start()
            there.close()  # so that its end is heard here
            children.append(_Child(process, here))
        return _attend(children, reached, stopping)
    finally:
        for child in children:
            child.pipe.close()  # which it takes for an order to stop
        for child in children:
            child.process.join(1.0)
            if child.process.is_alive():
                child.process.kill()  # its commits are whole
            child.process.join()


class _Child:
    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.is_ready = False
        self.done: tuple[int, int | None] = (0, None)
        self.result: Worked | None = None


def _attend(children: list[_Child], reached: Reached, stopping: Callable[[], bool]) -> Worked:
    started: float | None = None
    following = told = False
    while not all(child.result for child in children):
        for child in wait([child.pipe for child in children if child.result is None], EVERY):
            _hear(next(each for each in children if each.pipe is child))
        if started is None and all(child.is_ready for child in children):
            started = time.monotonic()
            children[0].pipe.send(BEGIN)
        if not following and (children[0].done[0] or children[0].result):
            following = True
            _tell(children[1:], BEGIN)
        if not told and stopping():
            told = True
            _tell(children, STOP)
        clocks = [clock for _, clock in (child.done for child in children) if clock is not None]
        reached(sum(done for done, _ in (child.done for child in children)), min(clocks, default=None))
    results = [child.result for child in children if child.result is not None]
    seconds = time.monotonic() - (started or time.monotonic())
    return Worked(all(result.finished for result in results), seconds, sum(result.cpu for result in results))


def _tell(children: Sequence[_Child], what: str) -> None:
    for child in children:
        if child.result is None:
            try:
                child.pipe.send(what)
            except OSError:  # it has just ended, which the pipe will say
                continue


def _hear(child: _Child) -> None:
    try:
        said = child.pipe.recv()
    except (EOFError, OSError):
        child.process.join()
        raise UsageError(
            f"a process of the replay ended ({_ending(child.process.exitcode)}): if the memory was not enough, go on "
            "with --resume and fewer --jobs"
        ) from None
    if isinstance(said, Refusal):
        raise said
    if isinstance(said, str):
        raise RuntimeError(f"in a process of the replay:\n{said}")
    if isinstance(said, Worked):
        child.result = said
    elif said is None:
        child.is_ready = True
    else:
        child.done = said


def _ending(code: int | None) -> str:
    return f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _child(job: Job, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent tells us
    try:
        pipe.send(None)
        orders = _Orders(pipe)
        if orders.begin():
            pipe.send(Worked(work(job, orders.report, orders.stopping), 0.0, time.process_time()))
        else:
            pipe.send(Worked(False, 0.0, time.process_time()))
    except Refusal as refusal:
        pipe.send(refusal)
    except BrokenPipeError:  # the parent is gone
        os._exit(1)
    except Exception:
        pipe.send(traceback.format_exc())


class _Orders:
    """Of the parent, and reports to it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._last, self._stop = pipe, 0.0, False

    def begin(self) -> bool:
        return self._heard(None) == BEGIN

    def stopping(self) -> bool:
        self._stop = self._stop or self._heard(0.0) == STOP
        return self._stop

    def report(self, done: int, clock: int | None) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            self._pipe.send((done, clock))

    def _heard(self, seconds: float | None) -> str | None:
        try:
            return str(self._pipe.recv()) if self._pipe.poll(seconds) else None
        except (EOFError, OSError):
            return STOP


class Interrupt:
    """Whether SIGINT or SIGTERM came, for whoever stops in order then."""

    def __init__(self) -> None:
        self.came: int | None = None

    def __bool__(self) -> bool:
        return self.came is not None


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first SIGINT or SIGTERM is kept to the end, and does then what it would have done; a second acts at once."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}

    def keep(number: int, frame: FrameType | None) -> None:
        interrupt.came = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, keep)
    try:
        yield interrupt
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if interrupt.came is not None:
        signal.raise_signal(interrupt.came)
