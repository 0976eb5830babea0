"""Stage ``features``: tissue volumes of every scan, before and after harmonization.

The images of people whom the harmonizer has not seen are made in memory, segmented and let go:
only numbers stay, a small file a scan and arm in the work directory, so that a run that ends goes
on where it was.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.judged import JudgedImages, read_all_judged
from bids_harmonize.bids.names import features_crash_file, group_output
from bids_harmonize.bids.tables import write_table
from bids_harmonize.errors import ScanError, UnusableDataError
from bids_harmonize.harmonizers.base import JOINT
from bids_harmonize.stages import StageContext, StageResult
from bids_harmonize.stages.processes import count_processes
from bids_harmonize.stages.tissue.parcels import parcel_columns
from bids_harmonize.stages.tissue.plan import (
    Choice,
    FittedModels,
    choose_scans,
    load_models,
    plan_harmonized,
    plan_judged,
    plan_raw,
)
from bids_harmonize.stages.tissue.processes import SCAN_MEMORY_GB, work_through
from bids_harmonize.stages.tissue.scan import Fault, TissueJob, TissueRow, read_row
from bids_harmonize.stages.tissue.tables import features_columns, features_table
from bids_harmonize.tables.own import HARMONIZED, RAW

LOGGER = logging.getLogger(__name__)

_MAX_NAMED = 5


@dataclass
class _Work:
    """What is to be done, and what became of it.

    Faults stand by the stem of a scan, those of other tools' images by their arm first. So do
    the scans that a tool has no image of.
    """

    jobs: list[TissueJob] = field(default_factory=list)
    rows: dict[tuple[str, str], TissueRow] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    faults_of_tools: dict[str, dict[str, Fault]] = field(default_factory=dict)
    lacking: dict[str, list[str]] = field(default_factory=dict)
    not_harmonized: list[str] = field(default_factory=list)
    n_reused: int = 0


def run(context: StageContext) -> StageResult:
    """Measure tissue in both arms and write ``group_features.tsv``.

    Parameters
    ----------
    context
        The study; its ``models/`` must hold what the stage ``harmonize`` fitted.

    Returns
    -------
    StageResult
        A failure for every scan that could not be measured.

    Raises
    ------
    MissingInputError
        If no fitted harmonizer is there.
    UnusableDataError
        If no scan is left.
    """
    models = load_models(context)
    choice = choose_scans(context)
    judged = read_all_judged(context.settings.group.judge, context.study.scans)
    work = _Work()
    for scan in choice.scans:
        _plan(context, scan, models, work)
        _plan_tools(context, scan, judged, work)
    work.jobs = [job for job in work.jobs if not _lost(job, work)]
    _measure(context, work)
    _keep_crashes(context, choice.scans, _all_faults(work))
    left_out = {**choice.left_out, **_doubtful(work)}
    kept = [
        (job, work.rows[job.stem, job.arm])
        for job in work.jobs
        if job.stem not in left_out and job.stem not in work.faults and not _lost(job, work)
    ]
    failures = _failures(work)
    if not kept:
        message = "no scan is left to measure: " + "; ".join(
            [*failures, *(f"{stem}: {reason}" for stem, reason in left_out.items())][:_MAX_NAMED]
        )
        raise UnusableDataError(message)
    why_none = models.why_none if work.not_harmonized else ""
    path = group_output(context.study.output_dir, "group_features")
    atlas = context.settings.group.atlas
    write_table(
        path,
        features_table(context.study, kept, atlas=atlas),
        features_columns(
            context.study,
            model=models.maker.folder_name,
            model_sha256=models.maker.model["sha256"],
            sample=choice.sample,
            left_out=left_out,
            not_harmonized=why_none,
            sources={
                RAW: _raw_words(work.jobs),
                **{one.method: str(one.folder) for one in judged},
            },
        )
        | parcel_columns(atlas, voxel_size_mm=context.study.voxel_size_mm),
    )
    return StageResult(
        "features",
        files=(path, path.with_suffix(".json")),
        warnings=_warnings(choice, left_out, work, why_none=why_none),
        failures=tuple(failures),
        notes=_notes(context, work, kept),
    )


def _plan(context: StageContext, scan: DerivedScan, models: FittedModels, work: _Work) -> None:
    try:
        raw = plan_raw(context, scan)
        harmonized = plan_harmonized(context, scan, models)
    except ScanError as error:
        work.faults[scan.stem] = Fault(str(error), str(error))
        return
    if harmonized is None:
        work.not_harmonized.append(scan.stem)
    work.jobs += [raw] if harmonized is None else [raw, harmonized]


def _plan_tools(
    context: StageContext, scan: DerivedScan, judged: Sequence[JudgedImages], work: _Work
) -> None:
    """Another tool's image of a scan that is measured; its sites are the trained ones."""
    if scan.stem in work.faults or scan.site not in context.study.trained_sites:
        return
    for tool in judged:
        try:
            job = plan_judged(context, scan, tool)
        except ScanError as error:
            fault = Fault(str(error), str(error))
            work.faults_of_tools.setdefault(tool.method, {})[scan.stem] = fault
            continue
        if job is None:
            work.lacking.setdefault(tool.method, []).append(scan.stem)
        else:
            work.jobs.append(job)


def _lost(job: TissueJob, work: _Work) -> bool:
    """Whether a tool's arm goes as a whole: with fewer scans than the others it is not judged."""
    return job.arm in work.lacking or job.arm in work.faults_of_tools


def _all_faults(work: _Work) -> dict[str, Fault]:
    """Stem to a fault, our own before those of other tools' images."""
    found: dict[str, Fault] = {}
    for faults in (*work.faults_of_tools.values(), work.faults):
        found |= faults
    return found


def _failures(work: _Work) -> list[str]:
    return [
        *(f"{stem}: no features: {fault.message}" for stem, fault in work.faults.items()),
        *(
            f"{stem}: no features of {arm}, whose tissue is not judged: {fault.message}"
            for arm, faults in work.faults_of_tools.items()
            for stem, fault in faults.items()
        ),
    ]


def _measure(context: StageContext, work: _Work) -> None:
    """Fill in the rows: those of an earlier run, and what is measured now."""
    waiting = []
    for job in work.jobs:
        row = read_row(job) if context.settings.run.resume else None
        if row is None:
            waiting.append(job)
        else:
            work.rows[job.stem, job.arm] = row
            work.n_reused += 1
    n_procs = count_processes(context.settings.resources, len(waiting), gb_each=SCAN_MEMORY_GB)
    found = work_through(waiting, n_procs=n_procs)
    for number, (job, fault) in enumerate(found, start=1):
        row = None if fault is not None else read_row(job)
        if row is None:
            faults = work.faults
            if job.is_foreign:
                faults = work.faults_of_tools.setdefault(job.arm, {})
            faults[job.stem] = fault or Fault(f"{job.row_file} is gone", "")
            continue
        work.rows[job.stem, job.arm] = row
        LOGGER.info("measured %d of %d: %s, %s", number, len(waiting), job.stem, job.arm)


def _doubtful(work: _Work) -> dict[str, str]:
    """Scans with odd tissue in one of our arms: they leave all, which then hold the same scans.

    What another tool made odd counts as it is: it shall not choose who is judged.
    """
    return {
        stem: f"tissue doubtful in the {arm} arm: {row.doubt}"
        for (stem, arm), row in sorted(work.rows.items())
        if row.doubt and arm in (RAW, HARMONIZED)
    }


def _keep_crashes(
    context: StageContext, scans: Sequence[DerivedScan], faults: Mapping[str, Fault]
) -> None:
    """A crash file for each scan that failed; those of earlier runs go once it has not."""
    output_dir = context.study.output_dir
    for scan in scans:
        if scan.stem in faults:
            path = features_crash_file(output_dir, scan, context.run_id)
            write_text(path, faults[scan.stem].trace + "\n")
            continue
        pattern = features_crash_file(output_dir, scan, "*")
        for path in pattern.parent.parent.glob(f"*/{pattern.name}"):
            path.unlink(missing_ok=True)


def _raw_words(jobs: Sequence[TissueJob]) -> str:
    n_read = sum(job.arm == RAW and job.maps is not None for job in jobs)
    n_raw = sum(job.arm == RAW for job in jobs)
    if n_read == n_raw:
        return "its tissue maps are the participant level's"
    segmented = "segmented by this stage like the harmonized images, for the participant level "
    if n_read == 0:
        return f"{segmented}left no tissue maps (--no-tissue)"
    return (
        f"its tissue maps are the participant level's, but {n_raw - n_read} of {n_raw} scans were "
        f"{segmented}left no maps of them"
    )


def _warnings(
    choice: Choice, left_out: Mapping[str, str], work: _Work, *, why_none: str
) -> tuple[str, ...]:
    warnings = [choice.sample] if choice.sample else []
    if why_none:
        warnings.append(
            f"{len(work.not_harmonized)} scans of people who do not travel have no harmonized "
            f"row: {why_none}"
        )
    warnings += [f"left out of both arms: {stem}: {why}" for stem, why in left_out.items()]
    warnings += [
        f"the tissue of {arm} is not judged: no image of {', '.join(stems[:_MAX_NAMED])}"
        + (f" and {len(stems) - _MAX_NAMED} more" if len(stems) > _MAX_NAMED else "")
        for arm, stems in work.lacking.items()
    ]
    return tuple(warnings)


def _notes(
    context: StageContext, work: _Work, kept: Sequence[tuple[TissueJob, TissueRow]]
) -> tuple[str, ...]:
    arms = [job.arm for job, _ in kept]
    notes = [
        f"{arms.count(RAW)} raw and {arms.count(HARMONIZED)} harmonized scans have tissue "
        f"volumes; raw: {_raw_words(work.jobs)}"
    ]
    tools = dict.fromkeys(job.arm for job, _ in kept if job.is_foreign)
    for arm in tools:
        odd = [job.stem for job, row in kept if job.arm == arm and row.doubt]
        told = f"; doubtful, but counted: {', '.join(odd)}" if odd else ""
        notes.append(f"{arms.count(arm)} scans of {arm} have tissue volumes{told}")
    if work.n_reused:
        notes.append(f"unchanged, so reused: {work.n_reused} of {len(work.jobs)} measurements")
    joint = context.settings.group.sources == JOINT
    for site, reason in () if joint else sorted(context.study.left_out.items()):
        stems = ", ".join(scan.stem for scan in context.study.of_site(site))
        notes.append(f"not measured, site {site}: {reason}: {stems}")
    return tuple(notes)
