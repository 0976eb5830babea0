import os
import signal
import subprocess
import sys

import pytest

WATCH = "import sys; from bids_harmonize.cli.watch import watch; sys.exit(watch(sys.argv[1:]))"


def watched(script: str) -> list[str]:
    return [sys.executable, "-c", WATCH, "sh", "-c", script]


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(watched(script), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", [0, 1, 75])
def test_an_exit_code_is_passed_on_without_a_word(code):
    done = run(f"exit {code}")
    assert done.returncode == code
    assert done.stderr == ""


def test_a_killed_app_is_told_of_and_is_exit_1():
    done = run("kill -9 $$")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("bids-harmonize stopped: its process was killed")
    assert "out of memory?" in line
    assert line.endswith("(exit code 1)")


def test_other_signals_end_it_as_a_shell_says():
    assert run("kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_a_signal_that_comes_while_the_app_starts_reaches_it():
    """The app is started between two looks at the signal, by a process that stops there."""
    watcher = (
        "import os, signal, subprocess, sys; from bids_harmonize.cli import watch\n"
        "class Slow(subprocess.Popen):\n"
        "    def __init__(self, *words, **options):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        super().__init__(*words, **options)\n"
        "watch.subprocess.Popen = Slow\n"
        "sys.exit(watch.watch(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", watcher, "sh", "-c", "sleep 30"]
    assert subprocess.run(command, check=False).returncode == 128 + signal.SIGTERM


def test_what_the_caller_ignores_is_ignored_by_the_app_too():
    script = "kill -HUP $PPID; kill -HUP $$; echo alive"
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *watched(script)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "alive\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_app_once(number):
    # A job in the background of a script ignores Ctrl-C, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    script = (
        'trap "echo got it" TERM INT; echo ready; read word || read word; sleep 0.2; echo $word'
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(watched(script), **pipes, text=True) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, number)
        assert process.stdout.readline() == "got it\n"
        process.stdin.write("end\n")
        process.stdin.close()
        assert process.stdout.read() == "end\n"
    assert process.returncode == 0
