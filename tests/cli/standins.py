"""Quick stand-ins for what the drivers call: preprocessing, stages, pages."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.stages import StageResult
from tests.bids.trees import write_derivative


@dataclass
class Calls:
    """What was asked of the stand-ins, and what they shall answer."""

    scans: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    failing: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    busy_tables: frozenset[str] = frozenset()
    stage_failures: tuple[str, ...] = ()
    stage_error: BaseException | None = None
    scan_error: BaseException | None = None
    context: Any = None

    def run_participants(self, scans, *, output_dir, work_dir, settings, run_id, claims):
        """Stand in for ``preprocessing.run.run_participants``."""
        assert Path(work_dir).is_dir()
        if self.scan_error is not None:
            raise self.scan_error
        good = [scan for scan in scans if scan.stem not in self.failing]
        self.scans += [scan.stem for scan in scans]
        write_derivative(output_dir, {scan.stem: scan.site for scan in good})
        return tuple(
            SimpleNamespace(
                scan=scan,
                status=self._status(scan.stem),
                message="truncated" if scan.stem in self.failing else None,
                flags=("neck cropped",),
                seconds=1.0,
                doubtful=("brain",) if scan.stem in self.doubtful else (),
                busy_table=f"{scan.stem}_scans.tsv" if scan.stem in self.busy_tables else None,
            )
            for scan in scans
        )

    def _status(self, stem):
        if stem in self.busy:
            return "busy"
        return "failed" if stem in self.failing else "done"

    def run_stage(self, name, context):
        """Stand in for ``stages.run_stage``."""
        self.stages.append(name)
        self.context = context
        if self.stage_error is not None:
            raise self.stage_error
        return StageResult(name, failures=self.stage_failures, warnings=("careful",))

    def write_participant_page(self, output_dir, participant_id, *, study=None):
        """Stand in for ``report.participant.write_participant_page``."""
        self.pages.append(participant_id)

    def write_group_page(self, output_dir, *, site_map=None):
        """Stand in for ``report.group.write_group_page``."""
        self.pages.append("group")
        self.page_site_map = site_map
        return output_dir / "group.html"


def install(monkeypatch) -> Calls:
    """Put the stand-ins where the drivers look."""
    calls = Calls()
    functions = {
        "bids_harmonize.preprocessing.run": {"run_participants": calls.run_participants},
        "bids_harmonize.report.participant": {
            "write_participant_page": calls.write_participant_page,
            "draw_raw_figures": lambda scans, output_dir: (),
        },
        "bids_harmonize.report.group": {"write_group_page": calls.write_group_page},
        "bids_harmonize.training.runtime": {
            "make_runtime": lambda resources, crew=None: "runtime"
        },
    }
    for name, entries in functions.items():
        module = ModuleType(name)
        vars(module).update(entries)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("bids_harmonize.cli.group.run_stage", calls.run_stage)
    return calls


def assert_stopped(run, code):
    """The last line names the code, and nothing says that the run was a success."""
    assert run.last.endswith(f"bids-harmonize stopped: {EXIT_WORDS[code]} (exit code {code})")
    assert "finished successfully" not in run.text
