"""Processes of a run, as the system lists them; any of them may end while it is looked at."""

from pathlib import Path


def children(process: int) -> set[int]:
    """Identifiers of all processes that a process has started, and of theirs."""
    found: set[int] = set()
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            below = {int(word) for word in task.read_text().split()}
        except OSError:
            continue
        found |= below.union(*map(children, below))
    return found


def is_running(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
