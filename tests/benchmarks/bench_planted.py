"""Do a planted effect of age and a planted group effect survive harmonization?

``python -m tests.benchmarks.bench_planted --folder DIR --seed 61`` makes a phantom of 3 sites x
(16 controls + 10 cases), 4 mm, all cases with the frontotemporal pattern, runs the stages
``harmonize`` and ``features`` by the app's own command line, trained on controls, and reads
``group_features.tsv``: people of one site, each by the model that has not seen them. Effects
(:mod:`tests.benchmarks.planted_effects`) in the arms raw and harmonized are told as shares of
those of the same people in two truths (:mod:`tests.benchmarks.planted_truth`): ``ideal``,
noise-free images of one ideal scanner segmented by the same code, and ``true``, the phantom's own
shares of tissue, which hold the segmentation against the harmonizer too; ideal against true is
what the segmentation alone does. Wanted for harmonized against either: .85 to 1.15. The same
follows for volumes by the images' own brightness (:mod:`tests.benchmarks.planted_images`).

Then age and group are dealt anew within sites and asked of the harmonized arm; the models stay,
which never see age, and saw controls alone by their true names.

Head and brain masks are the phantom's truth unless ``--own-masks``. Studies stay in DIR;
``--keep`` takes the derivative of an earlier run too. What follows ``--`` is given to the app.
"""

import argparse
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.phantom import StudyDesign
from bids_harmonize.tables.own import HARMONIZED, RAW
from tests.benchmarks.planted_effects import (
    AGE,
    ALPHA,
    GROUP,
    Measured,
    People,
    dealt,
    effect_of,
    kept,
    most_by_chance,
    size_of,
)
from tests.benchmarks.planted_images import (
    GM,
    PLANTED,
    VENTRICLES,
)
from tests.benchmarks.planted_study import (
    ARMS,
    PLANTED_VOLUME,
    read_seen,
    read_volumes,
    run_study,
    say,
)
from tests.benchmarks.planted_truth import IDEAL, TRUE

N_DEALS = 20


@dataclass(frozen=True)
class Question:
    """A covariate and the volume that follows it; ``judged`` where the target is about it."""

    covariate: str
    name: str
    volume: str
    judged: bool = True

    @property
    def words(self) -> str:
        """As the lines name it."""
        return f"{'slope on age' if self.covariate == AGE else 'd of the cases'}, {self.name}"


QUESTIONS = (
    Question(AGE, "grey matter", "gm_volume_ml"),
    Question(AGE, "fluid", "csf_volume_ml"),
    Question(GROUP, "frontal and temporal grey matter", PLANTED_VOLUME),
    Question(GROUP, "all grey matter", "gm_volume_ml", judged=False),
)


def measured(arm: pd.DataFrame, volume: str) -> Measured:
    """One volume of everybody in an arm."""
    return Measured(arm[volume].to_numpy(), arm["intracranial_volume_ml"].to_numpy())


SEEN = (
    Question(AGE, "grey matter by brightness", GM),
    Question(AGE, "ventricles by brightness", VENTRICLES),
    Question(GROUP, "frontal and temporal grey matter by brightness", PLANTED),
    Question(GROUP, "all grey matter by brightness", GM, judged=False),
)


def tell_kept(
    question: Question, people: People, arms: Mapping[str, pd.DataFrame], *, seed: int
) -> None:
    """The effect in every arm, then every ratio that says who lost what."""
    covariate = question.covariate
    unit = "mL/year" if covariate == AGE else "mL"
    for arm in ARMS:
        effect = effect_of(covariate, people, measured(arms[arm], question.volume))
        size = "" if covariate == AGE else f"d {effect.standardised:+.3f}; "
        say(
            f"{question.words}, {arm}: {size}{effect.value:+.3f} {unit}, residual deviation "
            f"{effect.residual:.2f} mL, p {effect.p:.2g}"
        )
    for one, other in (
        (HARMONIZED, IDEAL),
        (HARMONIZED, TRUE),
        (RAW, IDEAL),
        (RAW, TRUE),
        (IDEAL, TRUE),
        (HARMONIZED, RAW),
    ):
        rng = np.random.default_rng([seed, 0])  # the same people for every ratio
        own, truth = (measured(arms[arm], question.volume) for arm in (one, other))
        found = kept(covariate, people, own, truth, rng=rng)
        is_target = one == HARMONIZED and other != RAW and question.judged
        is_seen = effect_of(covariate, people, truth).p < ALPHA
        word = found.verdict if is_seen else f"cannot tell, {other} does not show the effect"
        verdict = f"; wanted .85 to 1.15: {word}" if is_target else ""
        say(f"  {one} / {other}: {found}{verdict}")


def tell_null(question: Question, people: People, arm: pd.DataFrame, *, seed: int) -> None:
    """How often a covariate that is dealt anew seems to matter on harmonized scans."""
    covariate, volumes = question.covariate, measured(arm, question.volume)
    whole = size_of(covariate, effect_of(covariate, people, volumes))
    rng = np.random.default_rng([seed, 1])
    found = [effect_of(covariate, dealt(covariate, people, rng), volumes) for _ in range(N_DEALS)]
    ratios = np.array([size_of(covariate, one) / whole for one in found])
    n_small, most = sum(one.p < ALPHA for one in found), most_by_chance(N_DEALS)
    say(
        f"{question.words}, dealt anew {N_DEALS} times: p < {ALPHA:g} in {n_small}, by chance at "
        f"most {most}: {'ok' if n_small <= most else 'misses'}; mean ratio to the effect "
        f"{ratios.mean():+.3f} (standard error {ratios.std(ddof=1) / N_DEALS**0.5:.3f})"
    )


def cpu_s() -> float:
    """Seconds of CPU of this process and all that it waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def make_parser() -> argparse.ArgumentParser:
    """The options of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--per-site", type=int, default=16)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--travelling", type=int, default=0)
    parser.add_argument("--severity", type=float, default=1.0)
    parser.add_argument("--resolution", type=float, default=4.0, metavar="MM")
    parser.add_argument("--harmonizer", default="cyclegan")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--own-masks", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("options", nargs="*")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of one seed."""
    words = make_parser().parse_args(argv)
    design = StudyDesign(
        preset=words.preset,
        n_sites=words.sites,
        n_per_site=words.per_site,
        n_travelling=words.travelling,
        n_cases=words.cases,
        disorder="single",
        severity=words.severity,
        resolution_mm=words.resolution,
        seed=words.seed,
    )
    words.folder.mkdir(parents=True, exist_ok=True)
    _, output_dir = run_study(words, design)
    people, arms = read_volumes(words, output_dir, design)
    n_cases = int(people.is_case.sum())
    say(f"{len(people) - n_cases} controls and {n_cases} cases at {words.sites} sites")
    for question in QUESTIONS:
        tell_kept(question, people, arms, seed=words.seed)
    seen = read_seen(words, output_dir, design)
    for question in SEEN:
        tell_kept(question, people, seen, seed=words.seed)
    for asked, table in ((QUESTIONS, arms[HARMONIZED]), (SEEN, seen[HARMONIZED])):
        for question in asked:
            tell_null(question, people, table, seed=words.seed)
    say(f"{cpu_s():.0f} s of CPU in all")


if __name__ == "__main__":
    main()
