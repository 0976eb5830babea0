"""A scheduler's signal stops the process: at once, or where the work is saved."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from bids_harmonize.errors import PreemptedError
from bids_harmonize.preemption import (
    SIGNALS,
    raise_if_stopped,
    signals_deferred,
    stopping_on_signals,
)

WITH_WORKERS = """
import os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from bids_harmonize.preemption import stopping_on_signals

if __name__ == "__main__":
    with stopping_on_signals():
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            print(pool.submit(os.getpid).result(), flush=True)
            pool.submit(time.sleep, 600)
            os.kill(os.getpid(), signal.SIGTERM)
"""


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block_at_once_and_no_loop_over_scans_takes_it(number):
    def one_scan() -> str:
        try:
            send(number)
        except Exception:  # noqa: BLE001 - as a loop over scans might
            return "taken for a failed scan"
        return "not noticed"

    before = handlers()
    with pytest.raises(PreemptedError) as raised, stopping_on_signals():
        one_scan()
    assert not raised.value.has_checkpoint
    assert handlers() == before


def test_a_second_signal_does_not_cut_the_way_out_short():
    cleaned = []

    def work() -> None:
        try:
            send(signal.SIGTERM)
        finally:
            send(signal.SIGUSR1)
            cleaned.append(True)

    with pytest.raises(PreemptedError), stopping_on_signals():
        work()
    assert cleaned == [True]


def test_what_was_swallowed_is_raised_again():
    raise_if_stopped()
    with stopping_on_signals():
        raise_if_stopped()
        with suppress(BaseException):
            send(signal.SIGTERM)
        with pytest.raises(PreemptedError):
            raise_if_stopped()
    raise_if_stopped()


def test_deferred_signals_are_only_noted():
    with stopping_on_signals():
        with signals_deferred() as must_stop:
            assert not must_stop()
            send(signal.SIGUSR1)
            assert must_stop()
            with signals_deferred() as inner:  # a training inside another leaves it to that one
                assert not inner()
            assert must_stop()
        with signals_deferred() as must_stop:
            assert not must_stop()


def test_after_a_quiet_deferral_signals_stop_again():
    with stopping_on_signals():
        with signals_deferred():
            pass
        with pytest.raises(PreemptedError):
            send(signal.SIGTERM)


def test_without_handlers_nothing_is_deferred():
    before = handlers()
    with signals_deferred() as must_stop:
        assert handlers() == before
        assert not must_stop()


def test_other_threads_leave_the_handlers_alone():
    before, seen = handlers(), []

    def run() -> None:
        with stopping_on_signals():
            seen.append(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_nothing_waits_for_workers(tmp_path):
    script = tmp_path / "workers.py"
    script.write_text(WITH_WORKERS)
    started = time.monotonic()
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert "PreemptedError" in run.stderr
    assert run.returncode == 1
    assert time.monotonic() - started < 120
    with pytest.raises(ProcessLookupError):
        os.kill(int(run.stdout), 0)
