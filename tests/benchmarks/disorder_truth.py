"""True grey matter of a phantom's people in the parcels that the stage ``disorder`` asks."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from bids_harmonize.phantom import StudyDesign, make_person
from bids_harmonize.phantom.design import PlannedPerson, plan_people
from bids_harmonize.phantom.tissues import TISSUE_INDEX
from bids_harmonize.stages.tissue.parcels import measure_parcels
from tests.benchmarks.phantom_scans import BRAIN_SHARES
from tests.benchmarks.planted_truth import template_points, true_features


def true_table(
    design: StudyDesign, *, folder: Path, n_procs: int, keep: bool
) -> tuple[pd.DataFrame, Path]:
    """Who is who, and a table for ``--features``.

    Parameters
    ----------
    design
        The study.
    folder
        Where the table is written.
    n_procs
        Processes at a time.
    keep
        Take the table that stands there.

    Returns
    -------
    DataFrame, Path
        Per participant_id: site, group, pattern (``none`` in controls); and the table: these but
        for the pattern, age, sex, intracranial volume, and volume (mL) and density of every
        parcel.
    """
    planned = [one for one in plan_people(design) if one.site is not None]
    people = pd.DataFrame(
        {
            "participant_id": one.participant_id,
            "site": one.site,
            "group": one.group,
            "age": one.traits.age,
            "sex": one.traits.sex,
            "pattern": one.traits.pattern or "none",
        }
        for one in planned
    ).set_index("participant_id")
    path = folder / "true_parcels.tsv"
    if not (keep and path.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(n_procs, mp_context=get_context("spawn")) as pool:
            rows = list(pool.map(_parcels, planned, [design] * len(planned)))
        parcels = pd.DataFrame(rows, index=people.index)
        people.drop(columns="pattern").join(parcels).to_csv(path, sep="\t")
    return people, path


def _parcels(planned: PlannedPerson, design: StudyDesign) -> dict[str, float]:
    person = make_person(design.seed, planned.label, traits=planned.traits, base_mm=design.base_mm)
    grey = person.fractions[TISSUE_INDEX["gm"]]
    there = person.fractions[list(BRAIN_SHARES)].sum(axis=0) > 0
    voxel_ml = abs(float(person.affine[0, 0])) ** 3 / 1000
    found = measure_parcels(
        grey[there], template_points(person)[:, there], voxel_ml=voxel_ml, atlas=None
    )
    return {"tiv": true_features(person)["intracranial_volume_ml"], **found}
