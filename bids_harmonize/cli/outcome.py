"""What a run did, and the one line and the one number that say so."""

from dataclasses import dataclass, field

SUCCESS = 0
SOME_FAILED = 1
INTERNAL_ERROR = 70
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
    75: "another group run holds the output, run again later",
    INTERRUPTED: "interrupted",
}
"""Exit code to what it means."""


def stopped(exit_code: int) -> str:
    """The last line of the log of a run that did not come to its end."""
    return f"bids-harmonize stopped: {EXIT_WORDS[exit_code]} (exit code {exit_code})"


@dataclass
class Tally:
    """Gathered by both levels: sentences on what was done, and on what failed."""

    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or 1 if anything failed."""
        return SOME_FAILED if self.failures else SUCCESS

    def summary(self) -> str:
        """The last line of the log."""
        did = "; ".join(self.done) or "nothing to do"
        if not self.failures:
            return f"bids-harmonize finished successfully: {did} (exit code {SUCCESS})"
        shown = "; ".join(self.failures[:3]) + ("; ..." if len(self.failures) > 3 else "")
        return (
            f"bids-harmonize finished with {len(self.failures)} failure(s): {shown}; {did} "
            f"(exit code {SOME_FAILED})"
        )
