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
from bids_harmonize.stages.classification.shortcuts import participant_covariates
from bids_harmonize.stages.evaluation.biology import WITHIN, Reading, Target, read_targets
from bids_harmonize.stages.evaluation.biology_table import (
    biology_table,
    loss_interval,
    permutation_p,
)
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.reliability import person_differences, reliability_table
from bids_harmonize.stages.evaluation.tissue_columns import biology_columns, reliability_columns
from bids_harmonize.stages.evaluation.tissue_rows import TissueRows, read_tissue
from bids_harmonize.stages.evaluation.tissue_verdict import kept_row, volumes_row
from bids_harmonize.training.runtime import seeded_generator

TARGETS = ("age", "sex", "group")


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


def judge_tissue(context: StageContext) -> TissueJudgement:
    """Compare volumes between sites, read biology from them, and write both tables.

    Parameters
    ----------
    context
        The study; its ``group_features.tsv`` is read.

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
    asked = ("age", "sex") if study.control_group is None else TARGETS
    verdict = [
        volumes_row(
            _differences(travels, study),
            method=method,
            why_none=tissue.why_none,
            rng=_rng(context, "volumes"),
        ),
        *(
            kept_row(
                name,
                _facts(context, name, readings),
                method=method,
                why_none=tissue.why_none,
            )
            for name in asked
        ),
    ]
    files = [
        *_write_reliability(study, travels, tissue.features),
        *_write_biology(context, readings),
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
    return {(one.method, one.target.name, one.scheme): one for one in found}


def _targets(study: Study) -> list[tuple[Target, frozenset[str]]]:
    """Age and sex of those whom models are fitted on; group of everybody eligible."""
    known = participant_covariates(study)
    found = []
    if "age" in known:
        found.append((Target("age", known["age"].dropna()), study.trainees))
    if "sex" in known:
        sex = known["sex"].map({"f": 1.0, "m": 0.0}).dropna()
        found.append((Target("sex", sex), study.trainees))
    group = study.control_group
    if group is not None:
        words = study.participants[group.column].dropna()
        is_case = pd.Series(~words.index.isin(group.controls), index=words.index)
        found.append((Target("group", is_case.astype(float)), study.eligible))
    return found


def _facts(
    context: StageContext, target: str, readings: Mapping[tuple[str, str, str], Reading]
) -> dict[str, Any] | None:
    """Loss with interval, both p-values and the number of people; ``None`` without readings."""
    method = context.settings.group.harmonizer
    raw, made = (readings.get((name, target, WITHIN)) for name in (IDENTITY, method))
    if raw is None or made is None:
        return None
    rng = _rng(context, f"loss-{target}")
    value, low, high = loss_interval(raw, made, rng=rng)
    metric = list(raw.target.metrics)[-1]  # of age R2, which the sites' means cannot help
    return {
        "value": value,
        "low": low,
        "high": high,
        "p_raw": permutation_p(raw, metric, rng=rng),
        "p_made": permutation_p(made, metric, rng=rng),
        "n": len(raw.people),
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


def _write_biology(
    context: StageContext, readings: Mapping[tuple[str, str, str], Reading]
) -> list[Path]:
    path = group_output(context.study.output_dir, "group_biology")
    if not readings:
        remove_with_sidecar(path)
        return []
    table = biology_table(list(readings.values()), rng=_rng(context, "biology"))
    write_table(path, table, biology_columns())
    return [path]


def _rng(context: StageContext, purpose: str) -> np.random.Generator:
    return seeded_generator(context.settings.run.random_seed, "evaluate", "tissue", purpose)
