"""Volumes of a phantom study's people as their images show them, without the app's segmentation.

Grey matter and ventricles by :mod:`tests.benchmarks.structure_volumes`: every voxel counts by its
brightness between the tissues', which are read from the same image where the truth is pure. No
prior pulls people towards each other, so that an effect can be followed through images in which
the segmentation of ``features`` does not see it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.atlases.regions import load_brain_regions
from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import resample, resample_mask
from bids_harmonize.phantom import Person, make_person, simulate
from bids_harmonize.stages.harmonization.image_jobs import make_image
from bids_harmonize.stages.tissue.scan import region_feature
from bids_harmonize.tables.own import HARMONIZED, RAW
from tests.benchmarks.phantom_scans import (
    BRAIN_SHARES,
    PhantomScan,
    study_session,
    true_volumes,
    ventricle_region,
)
from tests.benchmarks.planted_truth import (
    IDEAL,
    TRUE,
    Visit,
    ideal_scanner,
    template_points,
    true_features,
)
from tests.benchmarks.structure_volumes import gm_ml, measure_brightness, ventricles_ml

GM, VENTRICLES, PLANTED = "seen_gm_ml", "seen_ventricles_ml", "seen_planted_ml"


def measure_images(
    visits: Sequence[Visit],
    models: Sequence[Path],
    *,
    planted_in: Sequence[str],
    n_procs: int,
) -> pd.DataFrame:
    """Rows of all arms.

    Parameters
    ----------
    visits
        One a person.
    models
        For each, the folder of the model that has not seen the person.
    planted_in
        Regions whose grey matter is counted apart.
    n_procs
        Processes at a time.

    Returns
    -------
    DataFrame
        participant_id, arm, the volumes and intracranial_volume_ml; that of the arms with an
        image is the brain mask's.
    """
    with ProcessPoolExecutor(n_procs, mp_context=get_context("spawn")) as pool:
        found = pool.map(_measure, visits, models, [tuple(planted_in)] * len(visits))
        return pd.DataFrame([row for rows in found for row in rows])


def _measure(visit: Visit, model: Path, planted_in: tuple[str, ...]) -> list[dict[str, object]]:
    design, label, files = visit.design, visit.planned.label, visit.scan
    person = make_person(design.seed, label, traits=visit.planned.traits, base_mm=design.base_mm)
    session = study_session(design.seed, label, files.site)
    image = simulate(person, ideal_scanner(design.resolution_mm), session)
    raw, affine = read_image(files.t1w)
    i, j, k = raw.shape
    grid = Grid(shape=(i, j, k), affine=affine)
    volumes = {
        RAW: raw,
        HARMONIZED: make_image(files, load_harmonizer(model)).volume,
        IDEAL: resample(image.noise_free, image.affine, grid),
    }
    there = np.linalg.inv(image.to_person) @ person.affine
    scan = _known(visit, person, raw, grid, there)
    planted = resample_mask(_region(person, planted_in), there, grid)
    voxel_ml = float(affine[0, 0]) ** 3 / 1000
    who = {"participant_id": files.participant_id}
    rows: list[dict[str, object]] = [
        {**who, "arm": arm, "intracranial_volume_ml": float(scan.brain.sum()) * voxel_ml}
        | _seen(scan, volume, planted)
        for arm, volume in volumes.items()
    ]
    return [*rows, {**who, "arm": TRUE} | _true(person, planted_in)]


def _seen(scan: PhantomScan, volume: np.ndarray, planted: np.ndarray) -> dict[str, float]:
    seen = measure_brightness(scan, volume)
    return {
        GM: gm_ml(scan, volume, seen),
        VENTRICLES: ventricles_ml(scan, volume, seen),
        PLANTED: gm_ml(replace(scan, brain=scan.brain & planted), volume, seen),
    }


def _true(person: Person, planted_in: Sequence[str]) -> dict[str, float]:
    volumes, features = true_volumes(person), true_features(person)
    return {
        GM: volumes["gm"],
        VENTRICLES: volumes["ventricles"],
        PLANTED: sum(features[region_feature(region)] for region in planted_in),
        "intracranial_volume_ml": features["intracranial_volume_ml"],
    }


def _known(
    visit: Visit, person: Person, raw: np.ndarray, grid: Grid, there: np.ndarray
) -> PhantomScan:
    """The scan with the truth of its anatomy, masks being the derivative's."""
    files = visit.scan
    if files.brain_mask is None:
        message = f"{files.stem}: no brain mask"
        raise RuntimeError(message)
    brain, _ = read_mask(files.brain_mask)
    shares = [
        resample(person.fractions[n], there, grid, interpolation="linear") for n in BRAIN_SHARES
    ]
    return PhantomScan(
        key=files.stem,
        participant_id=files.participant_id,
        site=files.site,
        volume=raw,
        affine=grid.affine,
        head=read_mask(files.head_mask)[0],
        brain=brain,
        shares=np.stack(shares),
        ventricles=resample_mask(ventricle_region(person), there, grid) & brain,
        to_template=np.eye(4),
    )


def _region(person: Person, names: Sequence[str]) -> np.ndarray:
    """Where the regions lie in the person's maps, bool."""
    regions = load_brain_regions()
    labels = [label for label, name in regions.names.items() if name in names]
    matrix = np.linalg.inv(regions.affine)
    points = np.tensordot(matrix[:3, :3], template_points(person), axes=1)
    voxels = np.rint(points + matrix[:3, 3, None, None, None]).astype(np.intp)
    last = np.array(regions.labels.shape)[:, None, None, None] - 1
    return np.isin(regions.labels[tuple(np.clip(voxels, 0, last))], labels)


def unseen_models(output_dir: Path, features: pd.DataFrame) -> Mapping[str, Path]:
    """Participant to the folder of the half model that has not seen the person."""
    (folder,) = {path.parent.parent for path in output_dir.glob("models/*/half-1/model.json")}
    own = features[features["arm"] == HARMONIZED].set_index("participant_id")["fit"]
    return {str(person): folder / str(fit) for person, fit in own.items()}
