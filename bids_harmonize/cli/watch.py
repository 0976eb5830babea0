"""The app as the container starts it: in a process of its own, whose end is always told.

Choice: a process that does nothing but wait. Reason: where a container has a limit of memory, the
system kills the process that takes the most without a word; with ``--nprocs 1``, and in training,
that is the app itself, and all that a user sees is the code 137. Rejected: to run everything in
workers, which costs the memory of one more process that has loaded PyTorch. Revisit when the app
starts no work in its main process.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from bids_harmonize.cli.outcome import SOME_FAILED
from bids_harmonize.machine import usable_memory_gb

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that the app is to have as if it had been started directly."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the app in a process of its own.

    Parameters
    ----------
    argv
        Words after the program's name; ``None`` means those of this process.

    Returns
    -------
    int
        The app's exit code; 1 if the system killed it.
    """
    words = sys.argv[1:] if argv is None else argv
    return watch([sys.executable, "-m", "bids_harmonize", *words])


def watch(command: Sequence[str]) -> int:
    """Run a command, hand signals on to it, and say so if it is killed.

    Parameters
    ----------
    command
        Program and its words.

    Returns
    -------
    int
        Its exit code; 1 if it was killed by SIGKILL, 128 and the signal's number for others.
    """
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        if started:
            started[0].send_signal(number)
        else:
            early.append(number)

    # Before the app starts: a signal that comes right then must not end this process alone.
    for number in FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup; the app inherits it
            signal.signal(number, forward)
    # A group of its own: else a terminal's Ctrl-C would come twice, once from here.
    with subprocess.Popen(command, process_group=0) as app:
        started.append(app)
        for noted in early:
            app.send_signal(noted)
        code = app.wait()
    if code == -signal.SIGKILL:
        sys.stderr.write(f"{_killed()}\n")
        return SOME_FAILED
    return 128 - code if code < 0 else code


def _killed() -> str:
    return (
        "bids-harmonize stopped: its process was killed, as the system does with one that takes"
        f" too much: out of memory? It may use {usable_memory_gb():.2f} GB here. Give it more, or"
        " fewer processes with --nprocs, and run the same command again: what is done is kept"
        f" (exit code {SOME_FAILED})"
    )


if __name__ == "__main__":
    sys.exit(main())
