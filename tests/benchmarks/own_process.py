"""Benchmarks that measure each case in a process of its own; imports nothing that weighs."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def measure_alone(module: str, options: Sequence[str]) -> dict[str, Any]:
    """What a benchmark's module prints last, as JSON, run in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", module, *options], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
