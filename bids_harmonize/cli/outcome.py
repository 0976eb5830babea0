"""What a run did, and the one line and the one number that say so."""

from dataclasses import dataclass, field

SUCCESS = 0
SOME_FAILED = 1
INTERNAL_ERROR = 70
INTERRUPTED = 130


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
