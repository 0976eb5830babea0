"""What a harmonizer is held to, and the verdict on what a benchmark found, line by line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, isnan, nan


@dataclass(frozen=True)
class Target:
    """One number that is wanted.

    Attributes
    ----------
    name
        Key of what was found.
    words
        What it is, as printed.
    low, high
        Where it must lie, both ends included.
    where
        What measures it, where this benchmark does so only on demand or never.
    """

    name: str
    words: str
    low: float = -inf
    high: float = inf
    where: str = ""

    def wanted(self) -> str:
        """The range in words."""
        if self.low == self.high:
            return f"exactly {self.low:.3g}"
        if self.low == -inf:
            return f"at most {self.high:.3g}"
        if self.high == inf:
            return f"at least {self.low:.3g}"
        return f"{self.low:.3g} to {self.high:.3g}"

    def is_met(self, value: float) -> bool:
        """Whether a number lies where it must."""
        return self.low <= value <= self.high


TARGETS = (
    Target("gap_ssim", "gap to the pair-trained generator closed, SSIM", 0.85, where="--ceiling"),
    Target("ahead_db", "over the best training-free method, dB (coil or resolution differ)", 2.0),
    Target("never_below_db", "the same, lowest over seeds, dB", 0.0),
    Target("sharpness", "gradient ratio", 0.95, 1.08),
    Target("high_pass", "high-pass correlation with the input", 0.95),
    Target("contrast", "lesion contrast over truth", 0.80, 1.20),
    Target("volume", "lesion volume over truth", 0.85, 1.15),
    Target("away", "change 15 mm away over that at the lesion, largest", high=0.02),
    Target("outside", "change outside the head", 0.0, 0.0),
    Target("old_probe", "share taken for the reference by the old probe", 0.90, where="--probe"),
    Target("feature_d", "median feature d over that of raw images", high=1 / 3),
    Target("slope", "imitation slope", high=0.05, where="tests.benchmarks.bench_confound"),
)


def verdicts(found: Mapping[str, float], targets: Iterable[Target] = TARGETS) -> list[str]:
    """One line a target: wanted, found, ok or misses.

    Parameters
    ----------
    found
        Name of a target to the number; missing or NaN where nothing was measured.
    targets
        What is wanted.

    Returns
    -------
    list of str
        In the order of the targets.

    Examples
    --------
    >>> verdicts({"x": 0.5}, [Target("x", "a share", high=0.4), Target("y", "another", 1.0)])
    ['a share: wanted at most 0.4, found 0.500: misses', 'another: not measured']
    """
    lines = []
    for target in targets:
        value = found.get(target.name, nan)
        if isnan(value):
            where = f" here (see {target.where})" if target.where else ""
            lines.append(f"{target.words}: not measured{where}")
            continue
        verdict = "ok" if target.is_met(value) else "misses"
        lines.append(f"{target.words}: wanted {target.wanted()}, found {value:.3f}: {verdict}")
    return lines
