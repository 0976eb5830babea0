"""Our own ``group_features.tsv`` as tables that cases and controls are compared in.

Choice: of the parcels' two measures the density, the share of grey matter in the parcel. Reason: a
parcel's volume also varies with its size, that is with the person's shape and with errors of the
registration, which is most of its variance; see ``tests.benchmarks.bench_disorder_images``, and
Radua et al. 2014, doi:10.1016/j.neuroimage.2013.07.084, for maps of voxels. Rejected: both at once
(regression on twice as many features told cases worse). Revisit with a finer registration.
"""

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import Settings
from bids_harmonize.errors import MissingInputError
from bids_harmonize.stages.feature_table.study import load_feature_study, own_sources
from bids_harmonize.stages.records import FeatureContext, StageContext, StageResult
from bids_harmonize.tables.own import EVERY_SCAN, PARCEL_PREFIX


def run_on_own_table(
    context: StageContext, stage: str, run: Callable[[FeatureContext], StageResult]
) -> StageResult:
    """Run a stage on the table that the stage ``features`` wrote; raises as it does.

    Parameters
    ----------
    context
        The study of images.
    stage
        Who asks, for the message.
    run
        The stage, on tables.

    Returns
    -------
    StageResult
        With a warning where only a sample of the scans was measured.

    Raises
    ------
    MissingInputError
        If there is no such table.
    """
    result = run(feature_context(context, stage))
    sample = _sample_words(context.study.output_dir)
    return replace(result, warnings=(*sample, *result.warnings))


def feature_context(context: StageContext, stage: str) -> FeatureContext:
    """The arms of the table that the stage ``features`` wrote.

    Parameters
    ----------
    context
        The study of images.
    stage
        Who asks, for the message.

    Returns
    -------
    FeatureContext
        Densities of the parcels, unless ``--feature-columns`` names other columns.

    Raises
    ------
    MissingInputError
        If there is no such table.
    UsageError, UnusableDataError
        If it cannot be used.
    """
    output_dir = context.study.output_dir
    path = group_output(output_dir, "group_features")
    if not path.is_file():
        message = (
            f"{stage} needs {path.name}, which the stage features writes; run that first, or "
            "give tables of another tool by --features"
        )
        raise MissingInputError(message)
    settings = _with_parcels(context.settings, path)
    studies = tuple(
        load_feature_study(source, output_dir=output_dir, settings=settings)
        for source in own_sources(path)
    )
    return FeatureContext(output_dir, studies, settings, context.run_id)


def _sample_words(output_dir: Path) -> tuple[str, ...]:
    """A sentence where only a sample of the scans was measured (``--effort quick``)."""
    path = group_output(output_dir, "group_features").with_suffix(".json")
    sample = read_json(path).get("arm", {}).get("Sample", "") if path.is_file() else ""
    return () if sample in ("", EVERY_SCAN) else (f"not everybody was measured: {sample}",)


def _with_parcels(settings: Settings, path: Path) -> Settings:
    """Settings that take the densities of the parcels, unless columns were named."""
    pattern = f"{PARCEL_PREFIX}*_density"
    named = bool(settings.group.feature_columns)
    if named or not any(fnmatchcase(name, pattern) for name in read_tsv(path).columns):
        return settings
    return replace(settings, group=replace(settings.group, feature_columns=(pattern,)))
