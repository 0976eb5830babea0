"""Does a harmonizer copy a difference between the people of two sites, as if a scanner made it?

``python -m tests.benchmarks.bench_confound --seed 501`` makes a phantom of two sites in memory,
4 mm, 16 people each, 6 travelling, and trains each harmonizer three times, unpaired, on the
source's people and those of the reference: as they are; with ventricles 25 % larger; with 10 %
less grey matter everywhere. It prints how much of the difference appears in source scans of the
travelling people, who never train and do not have it (:mod:`tests.benchmarks.imitation`; the
difference is real in the heads, found by the phantom's own traits). Grey matter is done once more
as an analyst could: the reference also has people without the loss, and only those train who
match the source's people in grey matter as a share of the brain.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.phantom import StudyDesign
from tests.benchmarks.confounded_study import REFERENCE, SOURCE, Scanned, Study, scans_of
from tests.benchmarks.imitation import (
    CONFOUNDS,
    Confound,
    calibrate,
    imitation,
    matched,
    size_in_images,
    slope_of,
)
from tests.benchmarks.structure_volumes import measure

MOST_SLOPE = 0.05
METHODS = ("localhistogram", "cyclegan")
_N_CALIBRATION = 3

Sizes = tuple[float, float]
"""What a slope of 1 means, by the images' own thresholds and by the same ones."""


class Bench:
    """One study, its scans without confound, and the models trained on them."""

    def __init__(self, design: StudyDesign, settings: dict[str, object]) -> None:
        self.study = Study(design)
        self.settings = settings
        self.source = self.study.at(self.study.source, SOURCE)
        self.reference = self.study.at(self.study.reference, REFERENCE)
        visits = [
            self.study.visits(one, (SOURCE, 1, None), (SOURCE, 2, None), (REFERENCE, 1, None))
            for one in self.study.travelling
        ]
        self.travelling, self.again, self.rescans = (
            [visit[n].scan for visit in visits] for n in range(3)
        )
        self.plain: dict[str, Harmonizer] = {}

    def plant(self, confound: Confound) -> list[Scanned]:
        """The reference's people with the confound; says how large it is."""
        design = self.study.design
        shift, _ = calibrate(
            confound,
            self.study.reference[:_N_CALIBRATION],
            seed=design.seed,
            base_mm=design.base_mm,
        )
        planted = [
            self.study.visits(
                replace(one, traits=confound.planted(one.traits, shift)),
                (REFERENCE, 1, before.scan.grid),
            )[0]
            for one, before in zip(self.study.reference, self.reference, strict=True)
        ]
        found = [
            after.volumes[confound.structure] / before.volumes[confound.structure] - 1
            for after, before in zip(planted, self.reference, strict=True)
        ]
        say(
            f"{confound.name}: {confound.trait} {shift:+.2f} at {REFERENCE}; true change of "
            f"{confound.structure} {np.mean(found):+.3f} (wanted {confound.change:+.2f}), "
            f"{min(found):+.3f} to {max(found):+.3f}, n {len(found)}"
        )
        return planted

    def tell_measure(self, confound: Confound, sizes: Sizes) -> None:
        """How the measure answers to the confound, to a second scan, and to the other scanner."""
        name, seed = confound.structure, self.study.design.seed
        say(
            f"  a slope of 1 is {sizes[0]:+.3f} by each image's own thresholds, {sizes[1]:+.3f} "
            "by those of the image without"
        )
        for what, scans in (
            ("again at the source", self.again),
            ("at the reference", self.rescans),
        ):
            values = [
                measure(name, new, new.volume) / measure(name, old, old.volume) - 1
                for old, new in zip(self.travelling, scans, strict=True)
            ]
            slope = slope_of(np.array(values), sizes[0], seed=seed)
            say(f"  the same people really scanned {what}: {slope}")

    def run(self, confound: Confound, methods: Sequence[str]) -> tuple[list[Scanned], Sizes]:
        """Print all lines of a confound; returns its scans and what a slope of 1 means."""
        planted = self.plant(confound)
        plain, with_it = scans_of(self.reference), scans_of(planted)
        own, same = (
            size_in_images(confound.structure, plain, with_it, same_thresholds=which)
            for which in (False, True)
        )
        sizes = (own, same)
        self.tell_measure(confound, sizes)
        for name in methods:
            self._tell(name, confound, confound.name, planted, sizes)
        return planted, sizes

    def run_matched(
        self, confound: Confound, methods: Sequence[str], planted: list[Scanned], sizes: Sizes
    ) -> None:
        """Print the lines of those at a mixed reference who match the source's grey matter."""
        pool = [*planted, *self.study.at(self.study.others, REFERENCE)]
        taken = matched([one.gm_share for one in self.source], [one.gm_share for one in pool])
        chosen = [pool[n] for n in taken]
        n_planted = sum(n < len(planted) for n in taken)
        source, kept, lost = (
            np.mean([one.gm_share for one in group]) for group in (self.source, chosen, planted)
        )
        say(
            f"  matched: {len(taken)} of {len(pool)} people of a mixed reference, {n_planted} of "
            f"them with the loss; grey matter of the brain {kept:.3f}, at the source "
            f"{source:.3f}, with the loss {lost:.3f}"
        )
        for name in methods:
            self._tell(name, confound, f"{confound.name}, matched", chosen, sizes)

    def _tell(
        self, name: str, confound: Confound, title: str, reference: list[Scanned], sizes: Sizes
    ) -> None:
        started = time.process_time()
        if name not in self.plain:
            scans = scans_of([*self.source, *self.reference])
            self.plain[name] = self.study.fit(name, scans, self.settings)
        with_it = self.study.fit(name, scans_of([*self.source, *reference]), self.settings)
        found = imitation(
            confound.structure,
            self.travelling,
            self.plain[name],
            with_it,
            sizes=sizes,
            seed=self.study.design.seed,
        )
        verdict = "ok" if abs(found["slope"].mean) <= MOST_SLOPE else "misses"
        say(f"{name}, {title}: slope {found['slope']}; wanted at most {MOST_SLOPE:g}: {verdict}")
        say(f"  thresholds of the image without confound: {found['fixed']}")
        say(
            f"  against unharmonized: {found['raw']}; without confound {found['raw_plain']}; "
            f"{time.process_time() - started:.0f} s of CPU"
        )


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of one seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--per-site", type=int, default=16)
    parser.add_argument("--travelling", type=int, default=6)
    parser.add_argument("--resolution", type=float, default=4.0, metavar="MM")
    parser.add_argument("--harmonizers", nargs="+", default=list(METHODS), choices=METHODS)
    names = [confound.name for confound in CONFOUNDS]
    parser.add_argument("--confounds", nargs="+", default=names, choices=names)
    parser.add_argument("--no-matched", action="store_true")
    parser.add_argument("--iterations", type=int, default=300)
    words = parser.parse_args(argv)
    design = StudyDesign(
        preset=words.preset,
        n_sites=2,
        n_per_site=words.per_site,
        n_travelling=words.travelling,
        resolution_mm=words.resolution,
        seed=words.seed,
    )
    bench = Bench(design, {"n_iterations": words.iterations})
    say(f"scans made: {time.process_time():.0f} s of CPU")
    chosen = [confound for confound in CONFOUNDS if confound.name in words.confounds]
    found = {confound: bench.run(confound, words.harmonizers) for confound in chosen}
    for confound, (planted, sizes) in found.items():
        if confound.structure == "gm" and not words.no_matched:
            bench.run_matched(confound, words.harmonizers, planted, sizes)
    say(f"{time.process_time():.0f} s of CPU in all")


if __name__ == "__main__":
    main()
