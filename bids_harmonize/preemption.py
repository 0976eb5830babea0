"""Stopping on a scheduler's signal: at once, or in a training after the step at hand.

Choice: the signal raises an error that is no ``Exception``; a training defers it, writes its
checkpoint and raises it itself. Reason: a scheduler gives seconds to minutes, so most work is
simply dropped (every file is written whole or not at all), and only training has something to
save. Rejected: a flag that every loop asks (forgotten in the next loop), an ``Exception`` (nipype
and scan loops would take it for a failed scan). The handlers of the process are the only state.

Code in C (a filter of SimpleITK, a step of PyTorch) is not interrupted: the signal is noticed when
it returns.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from types import FrameType
from typing import Final

from bids_harmonize.errors import PreemptedError

SIGNALS: Final = (signal.SIGTERM, signal.SIGUSR1)
"""What schedulers send before they take a machine away."""


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGUSR1 end the block by :class:`PreemptedError`.

    Worker processes are killed with it: nothing waits for work that nobody wants any more. Further
    signals are ignored, so that nothing cuts the way out short.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_deferred() -> Iterator[Callable[[], bool]]:
    """Only note the signals of :func:`stopping_on_signals` while the block runs.

    Yields
    ------
    callable
        Whether the process was asked to stop; the block then saves its work and raises
        :class:`PreemptedError`. Always ``False`` where no handlers are set.
    """
    asked: list[int] = []
    if signal.getsignal(signal.SIGTERM) is not _stop:
        yield lambda: False
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        asked.append(number)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number in SIGNALS:
            signal.signal(number, _pass_over if asked else _stop)


def raise_if_stopped() -> None:
    """Raise again what somebody else's code has swallowed, as nipype does inside a node.

    Raises
    ------
    PreemptedError
        If a signal has come and the block of :func:`stopping_on_signals` still runs.
    """
    if signal.getsignal(signal.SIGTERM) is _pass_over:
        raise PreemptedError


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    for signal_number in SIGNALS:
        signal.signal(signal_number, _pass_over)
    for child in active_children():
        child.kill()
    raise PreemptedError


def _pass_over(number: int, frame: FrameType | None) -> None:
    """The handler once the way out has begun."""
    del number, frame
