"""What a stage is given, what it gives back, and what one is."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bids_harmonize.bids.study import Study
    from bids_harmonize.config import Settings
    from bids_harmonize.stages.feature_table.study import FeatureStudy
    from bids_harmonize.training.runtime import Runtime


@dataclass(frozen=True)
class StageContext:
    """All that a stage may use."""

    study: "Study"
    settings: "Settings"
    work_dir: Path
    run_id: str
    runtime: "Runtime"


@dataclass(frozen=True)
class FeatureContext:
    """All that a stage may use when tables of features stand in for images."""

    output_dir: Path
    studies: tuple["FeatureStudy", ...]
    settings: "Settings"
    run_id: str


@dataclass(frozen=True)
class StageResult:
    """What a stage did; any failure ends the run with exit code 1.

    ``summary`` stands in the last line of the log.
    """

    name: str
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True)
class StageRow:
    """One stage: its name, the function that runs it, and what it does.

    ``apply_target`` applies models of another run, ``features_target`` works on tables; ``None``
    where the stage cannot.
    """

    name: str
    target: str
    description: str
    apply_target: str | None = None
    features_target: str | None = None
