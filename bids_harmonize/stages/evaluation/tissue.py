"""What harmonization does to tissue: volumes of a person across sites, and biology in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.sidecars import remove_with_sidecar
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import write_table
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluation.biology import (
    ACROSS,
    WITHIN,
    Reading,
    Target,
    read_targets,
)
from bids_harmonize.stages.evaluation.biology_table import (
    biology_table,
    loss_interval,
    permutation_p,
)
from bids_harmonize.stages.evaluation.biology_targets import covariate_targets, group_target
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.reliability import person_differences, reliability_table
from bids_harmonize.stages.evaluation.tissue_columns import biology_columns, reliability_columns
from bids_harmonize.stages.evaluation.tissue_rows import TissueRows, read_tissue
from bids_harmonize.stages.evaluation.tissue_verdict import READABLE, kept_row, volumes_row
from bids_harmonize.training.runtime import seeded_generator

TARGETS = ("age", "sex", "group")

_NOT_MEASURED = (
    "the stage features has not measured the tool's images, or could not; run it with --judge too"
)


@dataclass(frozen=True, eq=False)
class TissueJudgement:
    """What the tissue says of the chosen harmonizer.

    Attributes
    ----------
    verdict
        Rows of group_verdict.tsv.
    files
        What was written.
    notes
        For the reader: why nothing was judged, and what was left out.
    """

    verdict: tuple[dict[str, object], ...]
    files: tuple[Path, ...]
    notes: tuple[str, ...]


def judge_tissue(
    context: StageContext, by_networks: Sequence[Reading] = (), *, foreign: Sequence[str] = ()
) -> TissueJudgement:
    """Compare volumes between sites, read biology from them, and write both tables.

    Parameters
    ----------
    context
        The study; its ``group_features.tsv`` is read.
    by_networks
        What was read from images; stands in the same table, and answers where no tissue was
        measured.
    foreign
        Methods of other tools.

    Returns
    -------
    TissueJudgement
        Answers "cannot tell" where the stage ``features`` has not run; the tables of an earlier
        run go then.
    """
    study, method = context.study, context.settings.group.harmonizer
    tissue = read_tissue(context)
    travels = _travellers(tissue, study)
    readings = _readings(context, tissue)
    differences = _differences(travels, study)
    methods = (method, *foreign)
    known = {**{_key(one): one for one in by_networks}, **readings}
    asked = ("age", "sex") if study.control_group is None else TARGETS
    verdict = []
    for made_by in methods:
        why_none = tissue.why_none or ("" if tissue.holds(made_by) else _NOT_MEASURED)
        rng = _rng(context, "volumes")
        verdict.append(
            volumes_row(differences, method=made_by, why_none=why_none, rng=rng),
        )
        verdict += [
            kept_row(
                name,
                _facts(context, name, known, method=made_by),
                method=made_by,
                why_none=why_none,
            )
            for name in asked
        ]
    files = [
        *_write_reliability(study, travels, tissue.features),
        *_write_biology(context, [*readings.values(), *by_networks]),
    ]
    notes = [f"tissue was not judged: {tissue.why_none}"] if tissue.why_none else []
    return TissueJudgement(tuple(verdict), tuple(files), tuple(notes))


def _travellers(tissue: TissueRows, study: Study) -> pd.DataFrame | None:
    """Rows of the people who travel, at sites where harmonized images are; none without any."""
    if tissue.frame is None:
        return None
    sites = {*study.trained_sites, study.reference_site}
    frame = tissue.frame
    own = frame[frame["participant_id"].isin(study.travelling) & frame["site"].isin(sites)]
    return None if own.empty else own


def _differences(travels: pd.DataFrame | None, study: Study) -> pd.DataFrame:
    if travels is None:
        return pd.DataFrame()
    return person_differences(travels, reference_site=study.reference_site)


def _readings(context: StageContext, tissue: TissueRows) -> Mapping[tuple[str, str, str], Reading]:
    """Method, target and scheme to the reading; empty where nothing can be read."""
    study = context.study
    if tissue.frame is None:
        return {}
    found: list[Reading] = []
    for target, people in _targets(study):
        found += read_targets(
            tissue.frame,
            tissue.features,
            [target],
            study.site_of_participant(people),
            seed=context.settings.run.random_seed,
        )
    return {_key(one): one for one in found}


def _key(reading: Reading) -> tuple[str, str, str]:
    return reading.method, reading.target.name, reading.scheme


def _targets(study: Study) -> list[tuple[Target, frozenset[str]]]:
    """Age and sex of those whom models are fitted on; group of everybody eligible."""
    found = [(target, study.trainees) for target in covariate_targets(study)]
    group = group_target(study)
    return found if group is None else [*found, (group, study.eligible)]


def _facts(
    context: StageContext,
    target: str,
    readings: Mapping[tuple[str, str, str], Reading],
    *,
    method: str,
) -> dict[str, Any] | None:
    """Loss with interval, both p-values, the reader and the number of people, if it was read.

    By the regression on tissue, or by the network on images where no tissue was measured or the
    raw images' tissue does not show it. Raw images alone decide who is asked.
    """
    rng = _rng(context, f"loss-{target}")
    found = []
    for scheme in (WITHIN, ACROSS):
        raw, made = (readings.get((name, target, scheme)) for name in (IDENTITY, method))
        if raw is not None and made is not None:
            found.append(_compared(raw, made, rng=rng))
    readable = [facts for facts in found if facts["p_raw"] < READABLE]
    return next(iter([*readable, *found]), None)


def _compared(raw: Reading, made: Reading, *, rng: np.random.Generator) -> dict[str, Any]:
    value, low, high = loss_interval(raw, made, rng=rng)
    metric = list(raw.target.metrics)[-1]  # of age R2, which the sites' means cannot help
    return {
        "value": value,
        "low": low,
        "high": high,
        "p_raw": permutation_p(raw, metric, rng=rng),
        "p_made": permutation_p(made, metric, rng=rng),
        "n": len(raw.people),
        "model": raw.model,
    }


def _write_reliability(
    study: Study, travels: pd.DataFrame | None, features: Sequence[str]
) -> list[Path]:
    path = group_output(study.output_dir, "group_reliability")
    if travels is None:
        remove_with_sidecar(path)
        return []
    table = reliability_table(travels, features, reference_site=study.reference_site)
    write_table(path, table, reliability_columns(study.reference_site))
    return [path]


def _write_biology(context: StageContext, readings: Sequence[Reading]) -> list[Path]:
    path = group_output(context.study.output_dir, "group_biology")
    if not readings:
        remove_with_sidecar(path)
        return []
    table = biology_table(readings, rng=_rng(context, "biology"))
    write_table(path, table, biology_columns())
    return [path]


def _rng(context: StageContext, purpose: str) -> np.random.Generator:
    return seeded_generator(context.settings.run.random_seed, "evaluate", "tissue", purpose)
