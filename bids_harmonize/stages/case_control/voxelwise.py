"""Cases against controls voxel by voxel, in smoothed density of grey matter on the template.

The model is that of the features: group, covariates, and the site where the arm has it. p is
corrected by permutation within sites in every arm, also where the model has no word of the site:
d of the arm raw shows what the site does, but no p of ours takes the site for the disorder.

There is no arm ``combat``. Choice: left out. Reason: ComBat is fitted on controls, so it would
have to be fitted anew in every permutation; fitted once, its error at a site goes with who is a
case, which no permutation can see, and p would be too small. Rejected: ComBat on everybody, which
takes out part of the disorder. The arm covariate takes out the same shift of the means.
"""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np

from bids_harmonize.bids.files import write_bytes
from bids_harmonize.config import settings_hash
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.imaging.types import Mask
from bids_harmonize.stages.case_control.arms import COVARIATE, Arm
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.densities import Densities, read_densities
from bids_harmonize.stages.records import StageContext
from bids_harmonize.stats.voxelwise import (
    GroupTest,
    corrected_p,
    enhanced_scores,
    permuted_maxima,
    prepare_test,
    t_values,
)
from bids_harmonize.tables.own import HARMONIZED, RAW
from bids_harmonize.training.runtime import seeded_generator

LOGGER = logging.getLogger(__name__)

N_PERMUTATIONS: Final = {"quick": 200, "full": 1000}
"""By ``--effort``; p of .05 is then known to within .03 and .014 (95 %)."""

_BATCH: Final = 25
_ARMS: Final = {RAW: (RAW, COVARIATE), HARMONIZED: (HARMONIZED,)}
"""Table to its arms; the later models hold the columns of the earlier ones."""
_VERSION = 1  # raise when maxima change, so that old ones are not used


@dataclass(frozen=True, eq=False)
class VoxelMap:
    """What was found at the voxels in one arm.

    Attributes
    ----------
    arm
        Name of the arm.
    mask
        Bool (I, J, K): the voxels, in C order, on the grid of the densities.
    d
        Hedges' g, cases minus controls, (n_voxels,).
    p
        Two-sided, corrected for all voxels, (n_voxels,).
    n_permutations
        How many p rests on.
    n_cases, n_controls
        Who was compared.
    adjusted
        Names of the covariates.
    """

    arm: str
    mask: Mask
    d: np.ndarray
    p: np.ndarray
    n_permutations: int
    n_cases: int
    n_controls: int
    adjusted: tuple[str, ...]


def find_voxel_maps(context: StageContext, cohorts: Sequence[Cohort]) -> list[VoxelMap]:
    """Compare cases with controls at every voxel, in every arm that can be.

    Parameters
    ----------
    context
        The study; permutations are kept in its work directory, so that a run that ends goes on.
    cohorts
        The people of the table ``raw``, and of ``harmonized`` if there is one.

    Returns
    -------
    list of VoxelMap
        raw, covariate, harmonized; all of the same voxels, which are known in everybody.

    Raises
    ------
    UnusableDataError
        If a density is not there, or no model can be fitted.
    """
    with read_densities(context, cohorts) as (mask, found):
        if not mask.any():
            message = "there is no voxel of the template that every brain mask covers"
            raise UnusableDataError(message)
        return [
            _one_arm(context, name, densities, mask)
            for densities in found
            for name in _ARMS[densities.cohort.arm]
        ]


def _one_arm(context: StageContext, name: str, densities: Densities, mask: Mask) -> VoxelMap:
    """The map of an arm; the values become residuals, which loses nothing for a larger model."""
    cohort = densities.cohort
    arm = Arm(name, cohort, np.empty((len(cohort.people), 0)))
    try:
        test = prepare_test(densities.values, cohort.is_case, arm.design, mask)
    except ValueError as error:
        message = f"no voxel-wise map of the arm {name}: {error}"
        raise UnusableDataError(message) from None
    people = np.arange(len(cohort.people))
    t = t_values(test, people[None, :])[0]
    maxima = _maxima(context, name, test, densities, arm)
    return VoxelMap(
        arm=name,
        mask=mask,
        d=t * test.scale,
        p=corrected_p(enhanced_scores(test, t), maxima),
        n_permutations=len(maxima),
        n_cases=int(cohort.is_case.sum()),
        n_controls=int((~cohort.is_case).sum()),
        adjusted=tuple(map(str, cohort.covariates.columns)),
    )


def _maxima(
    context: StageContext, name: str, test: GroupTest, densities: Densities, arm: Arm
) -> np.ndarray:
    """Largest values by chance; those of an earlier run are taken, and each batch is kept.

    Every arm deals the people alike: a batch has its own seed.
    """
    seed, wanted = context.settings.run.random_seed, N_PERMUTATIONS[context.settings.group.effort]
    cohort = densities.cohort
    fingerprint = settings_hash(
        [_VERSION, seed, _BATCH, densities.sha256],
        [arm.design.tolist(), cohort.is_case.tolist(), list(cohort.sites)],
        np.packbits(test.mask).tobytes().hex(),
    )
    path = context.work_dir / "disorder" / f"maxima-{name}.npz"
    kept = _kept(path, fingerprint) if context.settings.run.resume else np.empty(0)
    if len(kept) < wanted:
        LOGGER.info("voxel-wise map, arm %s: %d permutations", name, wanted - len(kept))
    while len(kept) < wanted:
        rng = seeded_generator(seed, "disorder-voxels", str(len(kept) // _BATCH))
        kept = np.concatenate([kept, permuted_maxima(test, cohort.sites, _BATCH, rng)])
        stream = io.BytesIO()
        np.savez(stream, fingerprint=np.array(fingerprint), maxima=kept)
        write_bytes(path, stream.getvalue())
    return kept[:wanted]


def _kept(path: Path, fingerprint: str) -> np.ndarray:
    """Maxima of an earlier run, whole batches; empty where they are of something else."""
    try:
        with np.load(path, allow_pickle=False) as found:
            if str(found["fingerprint"]) == fingerprint:
                maxima = np.asarray(found["maxima"], dtype=np.float64)
                return maxima[: len(maxima) // _BATCH * _BATCH]
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        pass
    return np.empty(0)
