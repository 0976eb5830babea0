"""The practical ceiling of a harmonizer: the same generator trained on true pairs.

No study has them: the people who train are scanned at the other site too, with the head in the
same place, so that image and target share a grid and nothing is registered. The training is that
of a pair of sites (rate, averaging, shifts, number of iterations) with the mean absolute
difference to the real scan as its only loss. Travelling subjects never train: they judge.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from bids_harmonize.bids.study import Study
from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.harmonizers.bilateral import Bilateral
from bids_harmonize.phantom import StudyDesign, make_scanners
from bids_harmonize.phantom.design import plan_people
from bids_harmonize.phantom.person import make_person
from bids_harmonize.phantom.presets import PRESETS
from bids_harmonize.stages.evaluate import method_of
from bids_harmonize.stages.evaluation.travelling import Method, score_travelling, site_levels
from bids_harmonize.training.augmentation import apply_augmentation, draw_augmentation
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import mean_difference
from bids_harmonize.training.pair_data import AUGMENTATION, PairSettings
from bids_harmonize.training.pair_steps import follow, rate_share
from bids_harmonize.training.runtime import Runtime, seeded_generator, seeded_torch
from tests.benchmarks.phantom_scans import (
    ArrayVolumes,
    PhantomScan,
    same_place,
    scan_person,
    study_session,
)

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

NAME = "pair_trained"
KEYS = ["kind", "source_site", "target_site", "mask", "metric"]
GAP_METRICS = ("psnr", "ssim")

Pairs = Sequence[tuple[PhantomScan, PhantomScan]]


def true_pairs(design: StudyDesign, sites: tuple[str, str]) -> Pairs:
    """Everybody who was scanned at one of two sites, at both.

    Parameters
    ----------
    design
        Of the phantom study.
    sites
        Two of its sites.

    Returns
    -------
    sequence of tuple
        Scans at the first and at the second site, on one grid. The scan at the person's own site
        is that of the study.
    """
    scanners = {
        scanner.name: scanner
        for scanner in make_scanners(
            PRESETS[design.preset],
            n_sites=design.n_sites,
            resolution_mm=design.resolution_mm,
            seed=design.seed,
        )
    }
    pairs = []
    for planned in plan_people(design):
        if planned.site not in sites:
            continue
        head = make_person(
            design.seed, planned.label, traits=planned.traits, base_mm=design.base_mm
        )
        own = study_session(design.seed, planned.label, planned.site)
        scans: dict[str, PhantomScan] = {}
        for site in (planned.site, *(site for site in sites if site != planned.site)):
            scans[site] = scan_person(
                head,
                scanners[site],
                same_place(study_session(design.seed, planned.label, site), own),
                participant_id=planned.participant_id,
                resolution_mm=design.resolution_mm,
                grid=scans[planned.site].grid if scans else None,
            )
        pairs.append((scans[sites[0]], scans[sites[1]]))
    return pairs


def train_on_pairs(
    pairs: Pairs, *, runtime: Runtime, seed: int, n_iterations: int = PairSettings.n_iterations
) -> "TrainedGenerator":
    """A bilateral generator from the first scan of each pair to the second.

    Parameters
    ----------
    pairs
        What :func:`true_pairs` returns.
    runtime
        Device; computes in 32 bit.
    seed
        Everything random follows from it.
    n_iterations
        Length of the training.

    Returns
    -------
    nn.Module
        The averaged weights, without gradients.
    """
    settings = PairSettings(n_iterations=n_iterations)
    given, wanted = (ArrayVolumes([pair[n] for pair in pairs]) for n in (0, 1))
    size = given.voxel_size_mm
    with seeded_torch(seed, "weights"):
        generator = settings.make_generator(voxel_size_mm=size, sharpened_mm=size)
    generator = generator.to(runtime.device)
    average = deepcopy(generator).requires_grad_(False)
    optimizer = torch.optim.Adam(
        generator.parameters(), lr=settings.learning_rate, betas=(0.5, 0.999)
    )
    for iteration in range(n_iterations):
        turn, place = divmod(iteration, len(pairs))
        index = seeded_generator(seed, f"round-{turn}").permutation(len(pairs))[place]
        change = draw_augmentation(
            seeded_generator(seed, f"iteration-{iteration}"), given.shape, AUGMENTATION
        )
        volume, target, mask = (
            as_tensor(apply_augmentation(array, change), runtime.device)
            for array in (
                given.volume(index),
                wanted.volume(index),
                given.head_mask(index) & wanted.head_mask(index),
            )
        )
        grid = generator.predict_grid(volume * mask, mask)
        made = generator.apply_grid(volume * mask, mask, grid, voxel_size_mm=size)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate_share(iteration, n_iterations)
        optimizer.zero_grad(set_to_none=True)
        mean_difference(made, target * mask).backward()
        optimizer.step()
        follow(average, generator, iteration)
    return average.eval()


def pair_harmonizer(
    design: StudyDesign,
    frame: Frame,
    *,
    runtime: Runtime,
    high: Mapping[str, float],
    n_iterations: int = PairSettings.n_iterations,
) -> Bilateral:
    """The pair-trained generators of a study, both ways, as a harmonizer.

    Parameters
    ----------
    design
        Of the phantom study.
    frame
        Sites and units; every source site gets its pair of generators.
    runtime
        Where it trains.
    high
        Site to the native intensity of 1, as a fitted harmonizer has it.
    n_iterations
        Length of each training.

    Returns
    -------
    Bilateral
        Ready to transform.
    """
    harmonizer = Bilateral(NAME, frame, {"n_iterations": n_iterations})
    harmonizer.high = high
    harmonizer.device = runtime.device
    for site in frame.source_sites:
        pairs = true_pairs(design, (site, frame.reference_site))
        back = [(second, first) for first, second in pairs]
        for way, way_pairs in (
            ((site, frame.reference_site), pairs),
            ((frame.reference_site, site), back),
        ):
            harmonizer.generators[way] = train_on_pairs(
                way_pairs, runtime=runtime, seed=design.seed, n_iterations=n_iterations
            )
    return harmonizer


def score_ceiling(study: Study, harmonizer: Bilateral, *, work_dir: Path) -> pd.DataFrame:
    """Means of the app's own metrics over the travelling subjects.

    Parameters
    ----------
    study
        The derivative of the phantom study.
    harmonizer
        What :func:`pair_harmonizer` returns.
    work_dir
        Where registrations are kept.

    Returns
    -------
    DataFrame
        Columns :data:`KEYS` and ``ceiling``.
    """
    method = Method(NAME, method_of(harmonizer).transform)
    scores = score_travelling(study, [method], levels=site_levels(study), work_dir=work_dir)
    own = scores.frame[scores.frame["method"] == NAME]
    return own.groupby(KEYS, as_index=False)["value"].mean().rename(columns={"value": "ceiling"})


def gap_to_ceiling(methods: pd.DataFrame, ceiling: pd.DataFrame) -> pd.DataFrame:
    """How much of the way from identity to the pair-trained generator a method goes.

    Parameters
    ----------
    methods
        group_methods.tsv.
    ceiling
        What :func:`score_ceiling` returns.

    Returns
    -------
    DataFrame
        Columns :data:`KEYS`, ``method``, ``gap_to_pair_trained``: (method - identity) /
        (pair-trained - identity), for SSIM and PSNR; 1 is as near as with true pairs, above 1
        nearer. NaN where the pair-trained generator gains nothing.
    """
    rows = methods[methods["metric"].isin(GAP_METRICS)]
    identity = rows[rows["method"] == "identity"][[*KEYS, "mean"]]
    joined = rows.merge(identity, on=KEYS, suffixes=("", "_identity")).merge(ceiling, on=KEYS)
    gap = joined["ceiling"] - joined["mean_identity"]
    joined["gap_to_pair_trained"] = (joined["mean"] - joined["mean_identity"]) / gap.where(gap > 0)
    return joined[[*KEYS, "method", "gap_to_pair_trained"]]
