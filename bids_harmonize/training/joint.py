"""The whole joint training of many source sites: its length, run, alarm, one restart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from bids_harmonize.training.joint_training import THERE, JointTraining, distance_column
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pairs import PairRun, train_attempts
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.targets import SiteShares, told_shares


@dataclass(frozen=True)
class JointResult:
    """What came out of a joint training.

    Attributes
    ----------
    weights
        Of the generator from any source to the reference.
    rows
        One row a check and source: attempt, iteration, ``source_site``, mean losses over all
        sources, and ``distance_to_reference`` of the source's monitor scans.
    distances
        Source to that distance at the check whose weights were kept.
    diverged
        The restart left the target too: the weights must not be used.
    shares
        Source to what was taken for the site's on the way to the reference; empty where targets
        are plain means.
    """

    weights: Mapping[str, Tensor]
    rows: tuple[Mapping[str, float | str], ...]
    distances: Mapping[str, float]
    diverged: bool
    shares: Mapping[str, SiteShares]


def joint_length(settings: PairSettings, n_sources: int) -> PairSettings:
    """Settings of a joint training from those of a pair.

    Parameters
    ----------
    settings
        ``n_iterations`` and ``check_every`` are those of a pair.
    n_sources
        Number of source sites.

    Returns
    -------
    PairSettings
        Both times the number of sources: each has as many turns as in a training of its own, at
        half the cost, for there is no way back. Measured with four sources (phantom, 4 mm): the
        monitor scans lie at .0110 from the reference after 300 iterations, .0108 after 600, .0102
        after 1200.
    """
    return replace(
        settings,
        n_iterations=settings.n_iterations * n_sources,
        check_every=settings.check_every * n_sources,
    )


def train_joint(
    data: PairData,
    settings: PairSettings,
    *,
    reference: str,
    runtime: Runtime,
    seed: int,
    sharpens: bool,
    run: PairRun,
) -> JointResult:
    """Train one generator for all sources; restart at half the rate when one raises the alarm.

    Parameters
    ----------
    data
        Scans of all sites; its sides are their names.
    settings
        Weights and rates; the length is that of a pair, see :func:`joint_length`.
    reference
        The site to go to.
    runtime
        Device and precision.
    seed
        Everything random follows from it.
    sharpens
        Whether the generators learn sharpening weights.
    run
        Name, folder of checkpoints, and whether to resume.

    Returns
    -------
    JointResult
        The averaged weights at the latest check at which the monitor scans of all sources were, in
        the mean over sources, as near to the reference as at any before.
    """
    rated = joint_length(settings, len(data.train) - 1)
    training, history, diverged = train_attempts(
        partial(JointTraining, data, reference=reference, seed=seed, sharpens=sharpens),
        rated,
        runtime=runtime,
        run=run,
    )
    columns = {distance_column(n): site for n, site in enumerate(training.sources)}
    kept = training.state["kept"]
    return JointResult(
        weights=kept["weights"],
        rows=tuple(
            {
                **{name: value for name, value in row.items() if name not in columns},
                "source_site": site,
                "distance_to_reference": row[column],
            }
            for row in history
            for column, site in columns.items()
        ),
        distances={site: kept["distances"][column] for column, site in columns.items()},
        diverged=diverged,
        shares=told_shares(dict(zip(training.sources, training.targets[THERE], strict=True))),
    )
