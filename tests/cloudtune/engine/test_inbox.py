"""Each message to a job is processed once, in order, by any thread."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import pytest

from cloudtune.engine.inbox import Inbox, Message, StopRequest
from cloudtune.results.events import Ended, Measured

_TRIALS, _STEPS = 8, 300


def measured(number: int, step: int) -> Measured:
    return Measured(number, 0.0, step, {"score": 1.0})


def ended(number: int) -> Ended:
    return Ended(number, 0.0, "completed")


def never() -> float:
    return float("inf")


def run_until_result(
    inbox: Inbox, step: Callable[[], Any], due: Callable[[], float] = never
) -> Any:
    return inbox.run_until_result(step, due, lambda: None)


def together(*targets: Callable[[], object]) -> ExitStack:
    """Run functions in threads of their own while a block runs, and wait for their ends."""
    with ExitStack() as stack:
        for target in targets:
            thread = threading.Thread(target=target)
            thread.start()
            stack.callback(thread.join, 200)
        return stack.pop_all()


def test_messages_are_processed_once_and_in_order() -> None:
    inbox = Inbox()
    seen: list[Message] = []
    inside: list[str] = []
    threads: set[int] = set()
    started = threading.Event()

    def trial(number: int) -> None:
        chance = random.Random(number)
        started.wait(200)
        until = time.monotonic() + 200
        for step in itertools.count():
            time.sleep(0)
            is_enough = step >= _STEPS and (len(threads) > 1 or time.monotonic() > until)
            if is_enough:
                inbox.put(measured(number, step), ended(number), inline=True)
                return
            inbox.put(measured(number, step), inline=chance.random() < 0.5)

    def step() -> bool | None:
        inside.append("in")
        time.sleep(0)  # others may try to come in
        assert len(inside) == 1, "two threads deal at a time"
        threads.add(threading.get_ident())
        started.set()
        while (message := inbox.pop()) is not None:
            seen.append(message)
        inside.pop()
        return sum(isinstance(message, Ended) for message in seen) == _TRIALS or None

    with together(*(lambda number=n: trial(number) for n in range(_TRIALS))):
        assert run_until_result(inbox, step)
    for number in range(_TRIALS):
        own = [
            message
            for message in seen
            if isinstance(message, Measured | Ended) and message.number == number
        ]
        steps = [message.step for message in own if isinstance(message, Measured)]
        assert steps == [*range(len(steps))]
        assert len(steps) > _STEPS
        assert isinstance(own[-1], Ended)
    assert len(threads) > 1, "no idle thread dealt with anything"


def test_an_inline_put_processes_its_message() -> None:
    inbox = Inbox()
    waiting = threading.Event()
    threads: list[int] = []

    def step() -> Message | None:
        waiting.set()
        if message := inbox.pop():
            threads.append(threading.get_ident())
        return message if isinstance(message, Ended) else None

    def put() -> None:
        waiting.wait(200)
        until = time.monotonic() + 200
        while threading.get_ident() not in threads and time.monotonic() < until:
            inbox.put(measured(1, 1), inline=True)
        inbox.put(ended(1))

    with together(put):
        assert run_until_result(inbox, step) == ended(1)
    assert {*threads} - {threading.get_ident()}


def test_messages_after_the_result_stay_in_the_inbox() -> None:
    inbox = Inbox()
    inbox.put(ended(1))
    assert run_until_result(inbox, inbox.pop) == ended(1)
    inbox.put(ended(2), inline=True)
    assert inbox.pop() == ended(2)


def test_messages_after_an_exception_stay_in_the_inbox() -> None:
    inbox = Inbox()

    def rest() -> None:
        raise KeyError("what shows events")

    inbox.put(measured(1, 0))
    with pytest.raises(KeyError):
        inbox.run_until_result(lambda: inbox.pop() and None, never, rest)
    inbox.put(measured(1, 1), inline=True)
    assert inbox.pop() == measured(1, 1)


def test_messages_left_by_an_inline_put_are_processed() -> None:
    inbox = Inbox()
    waiting = threading.Event()

    def step() -> Message | None:
        waiting.set()
        inbox.pop()
        message = inbox.pop()
        return message if isinstance(message, Ended) else None

    def put() -> None:
        waiting.wait(200)
        inbox.put(*(measured(1, step) for step in range(9)), ended(1), inline=True)

    with together(put):
        assert run_until_result(inbox, step) == ended(1)


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_exception_of_a_step_is_raised_in_the_waiting_thread(
    inline: bool, error: type[BaseException]
) -> None:
    inbox = Inbox()
    waiting = threading.Event()

    def step() -> None:
        waiting.set()
        if inbox.pop():
            raise error("of a strategy")

    def put() -> None:
        waiting.wait(200)
        inbox.put(ended(1), inline=inline)
        inbox.put(ended(2), inline=inline)

    with together(put), pytest.raises(error, match="of a strategy"):
        run_until_result(inbox, step)


def test_an_earlier_due_time_of_an_inline_step_wakes_the_waiting_thread() -> None:
    """Whoever waits for ever is woken, to wait less long."""
    inbox = Inbox()
    due = [float("inf")]
    waiting = threading.Event()

    def step() -> bool | None:
        waiting.set()
        if inbox.pop():
            due[0] = time.monotonic() + 0.01  # short: it comes after that
        return time.monotonic() >= due[0] or None

    def put() -> None:
        waiting.wait(200)
        inbox.put(ended(1), inline=True)

    with together(put):
        assert run_until_result(inbox, step, lambda: due[0])


def test_a_signal_handler_can_put_during_a_step() -> None:
    inbox = Inbox()
    asked = StopRequest("interrupted")

    def ask(_number: int, _frame: Any) -> None:
        inbox.put(asked)

    before = signal.signal(signal.SIGUSR1, ask)

    def steps() -> Iterable[Message | None]:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0)
        yield None
        yield inbox.pop()

    try:
        turns = iter(steps())
        assert run_until_result(inbox, lambda: next(turns)) == asked
    finally:
        signal.signal(signal.SIGUSR1, before)
