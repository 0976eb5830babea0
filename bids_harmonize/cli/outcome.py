"""What a run did, and the one line and the one number that say so."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bids_harmonize.errors import PreemptedError

SUCCESS = 0
SOME_FAILED = 1
INTERNAL_ERROR = 70
BUSY = 75
INTERRUPTED = 130

EXIT_WORDS = {
    SUCCESS: "all that was selected is done",
    SOME_FAILED: "a scan or step failed, the others are done",
    2: "wrong usage",
    16: "the input is no valid BIDS dataset",
    18: "the filters select nothing, or a label is unknown",
    65: "the data can be read but not used",
    66: "no T1w image, or no participant-level output",
    INTERNAL_ERROR: "internal error",
    73: "the output cannot be written",
    74: "input or output failed, for instance a full disk",
    BUSY: "another run holds the output or a scan, or the scheduler stopped this one; run again",
    INTERRUPTED: "interrupted",
}
"""Exit code to what it means."""


def stopped(exit_code: int, words: str = "") -> str:
    """The last line of the log of a run that did not come to its end."""
    return f"bids-harmonize stopped: {words or EXIT_WORDS[exit_code]} (exit code {exit_code})"


def preempted(error: PreemptedError) -> str:
    """The last line of the log of a run that a signal of the scheduler has ended."""
    saved = "checkpoint written" if error.has_checkpoint else "what was finished is kept"
    return stopped(error.exit_code, f"preempted, {saved}, run again")


@dataclass
class Tally:
    """Gathered by both levels: sentences on what was done, what failed, what others are doing."""

    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0; 1 if anything failed; 75 if nothing did, but another run holds a scan."""
        if self.failures:
            return SOME_FAILED
        return BUSY if self.busy else SUCCESS

    def summary(self) -> str:
        """The last line of the log."""
        did = "; ".join(self.done) or "nothing to do"
        if self.busy:
            did += f"; {_some(self.busy)} left to another run that is working on it, run again"
        if self.failures:
            start = f"finished with {len(self.failures)} failure(s): {_some(self.failures, '; ')}"
        else:
            start = "finished, but not all is done" if self.busy else "finished successfully"
        separator = "; " if self.failures else ": "
        return f"bids-harmonize {start}{separator}{did} (exit code {self.exit_code})"


def _some(words: Sequence[str], separator: str = ", ") -> str:
    return separator.join(words[:3]) + (f"{separator}..." if len(words) > 3 else "")
