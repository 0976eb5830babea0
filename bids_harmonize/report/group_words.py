"""How numbers, methods and controls are written on the group page: one place for every word."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bids_harmonize.harmonizers import baselines
from bids_harmonize.metrics import METRICS

MISSING = "n/a"

METHOD_WORDS: Mapping[str, str] = {
    "identity": "no harmonization",
    "nyul": "Nyul histogram landmarks",
    "histogram": "histogram matching",
    "n4": "N4 bias correction",
    "n4_histogram": "N4 + histogram matching",
    "blur": "blur (control)",
    "ceiling": "rescan at the target (ceiling)",
    "localhistogram": "local histogram",
    "cyclegan": "CycleGAN",
}
TRAINING_FREE = baselines()
NOT_HARMONIZERS = (*TRAINING_FREE, "blur", "ceiling")

MODEL_WORDS: Mapping[str, str] = {
    "network": "network, whole head",
    "logistic": "logistic regression on features",
    "brainonly": "network, brain only",
    "headwithoutbrain": "network, head without brain",
    "headmask": "head outline only",
    "histogram": "intensity histogram only",
    "metadata": "voxel size, matrix and the like",
    "covariates": "age and sex only",
    "shuffled": "network, shuffled site names",
    "withoutmaskblock": "network, trained without hidden blocks",
    "withoutkeepblock": "network, trained without kept blocks",
    "withoutblocks": "network, trained without either",
}
SALIENCY_WORDS: Mapping[str, str] = {
    "integrated_gradients": "integrated gradients",
    "hirescam": "HiResCAM",
    "gradcampp": "Grad-CAM++",
    "occlusion": "occlusion",
}
STATISTIC_WORDS: Mapping[str, str] = {
    "cramers_v": "Cramér's V",
    "correlation_ratio": "eta squared",
}
METRIC_DECIMALS: Mapping[str, int] = {"psnr": 2, "ssim": 3, "mae": 4, "correlation": 3}
_ACRONYM_LETTERS = 4


def method_words(method: str) -> str:
    """The method's name in words; an unknown name stands as it is."""
    return METHOD_WORDS.get(method, method.removeprefix("judge:"))


def scanned_words(method: str) -> str:
    """The same where nothing is harmonized in the ceiling: two scans at one site."""
    return "scan and rescan" if method == "ceiling" else method_words(method)


def is_feature_table(images: str) -> bool:
    """Whether the column ``images`` names a feature table (its arm), and no images.

    Examples
    --------
    >>> [is_feature_table(name) for name in ("raw", "features:raw", "preproc", "harmonizedOslo")]
    [True, True, False, False]
    """
    arm = images.removeprefix("features").lstrip(":-")
    return images != "preproc" and (arm == "harmonized" or not arm.startswith("harmonized"))


def model_words(model: object, images: object = "preproc") -> str:
    """What named the site, and from which images where these are not the preprocessed ones.

    Examples
    --------
    >>> model_words("headmask"), model_words("network", "harmonizedOslo")
    ('head outline only', 'network, whole head, harmonized')
    >>> model_words("logistic", "raw"), model_words("shuffled", "harmonized")
    ('logistic regression on features (raw)', 'shuffled site names (harmonized)')
    """
    words, name = MODEL_WORDS.get(str(model), str(model)), str(images)
    if name == "preproc":
        return words
    if not is_feature_table(name):
        return f"{words}, harmonized"
    return f"{words.removeprefix('network, ')} ({arm_words(name)})"


def shortcut_words(model: object, share: Any) -> str:
    """A control and how often it is right, for a list in a sentence.

    Examples
    --------
    >>> shortcut_words("headwithoutbrain", 0.74)
    'head without brain (74 %)'
    """
    return f"{model_words(model).removeprefix('network, ')} ({percent(share)})"


def arm_words(images: str) -> str:
    """The arm of a feature table, as the user named it."""
    return images.removeprefix("features").lstrip(":-") or "features"


def saliency_words(method: object) -> str:
    """The saliency method in words; an unknown name stands as it is."""
    return SALIENCY_WORDS.get(str(method), str(method).replace("_", " "))


def metric_words(metric: str) -> str:
    """The metric's name and unit, from its row in ``METRICS``.

    Examples
    --------
    >>> metric_words("psnr"), metric_words("ssim"), metric_words("sharpness")
    ('PSNR (dB)', 'SSIM', 'sharpness')
    """
    name = metric.upper() if len(metric) <= _ACRONYM_LETTERS else metric
    unit = METRICS[metric].unit if metric in METRICS else ""
    return f"{name} ({unit})" if unit not in ("", "1", "ratio", "rescaled units") else name


def number(value: Any, decimals: int = 2) -> str:
    """The number with fixed decimals, ``n/a`` for what is missing.

    Examples
    --------
    >>> number(3.14159), number(float("nan")), number(-0.001)
    ('3.14', 'n/a', '0.00')
    """
    if not is_number(value):
        return MISSING
    text = f"{float(value):.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}")


def significant(value: Any, digits: int = 3) -> str:
    """The number with about so many digits that carry meaning, never in powers of ten.

    Examples
    --------
    >>> significant(1234.5), significant(12.345), significant(0.012345)
    ('1234', '12.3', '0.0123')
    """
    if not is_number(value):
        return MISSING
    size = abs(float(value))
    magnitude = math.floor(math.log10(size)) if size > 0 else 0
    return number(value, max(0, min(digits - 1 - magnitude, 4)))


def with_interval(value: Any, low: Any, high: Any, decimals: int = 2) -> str:
    """The number and its 95 % interval in brackets.

    Examples
    --------
    >>> with_interval(24.25, 23.5, 25.0, 1)
    '24.2 (23.5 to 25.0)'
    """
    if not is_number(low) or not is_number(high):
        return number(value, decimals)
    return f"{number(value, decimals)} ({number(low, decimals)} to {number(high, decimals)})"


def percent(value: Any, decimals: int = 1) -> str:
    """A share from 0 to 1 in per cent.

    Examples
    --------
    >>> percent(0.983), percent(1.0)
    ('98.3 %', '100 %')
    """
    if not is_number(value):
        return MISSING
    share = 100 * float(value)
    if abs(share - round(share)) < 10**-decimals / 2:
        return f"{round(share)} %"
    return f"{number(share, decimals)} %"


def percent_interval(value: Any, low: Any, high: Any) -> str:
    """A share in per cent with its 95 % interval in brackets.

    Examples
    --------
    >>> percent_interval(0.5, 0.25, 0.75)
    '50 % (25 to 75)'
    """
    if not is_number(low) or not is_number(high):
        return percent(value)
    low_text, high_text = percent(low).removesuffix(" %"), percent(high).removesuffix(" %")
    return f"{percent(value)} ({low_text} to {high_text})"


def p_value(value: Any) -> str:
    """A p value: three decimals, or "< 0.001".

    Examples
    --------
    >>> p_value(0.03), p_value(1e-5)
    ('0.030', '< 0.001')
    """
    if not is_number(value):
        return MISSING
    return "< 0.001" if float(value) < 0.001 else number(value, 3)


def listing(words: Iterable[str]) -> str:
    """The words as a list in a sentence.

    Examples
    --------
    >>> listing(["A", "B", "C"]), listing(["A"]), listing([])
    ('A, B and C', 'A', '')
    """
    parts = list(words)
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """The count with its noun in the right number.

    Examples
    --------
    >>> count(1, "scan"), count(2, "scan"), count(3, "person", "people")
    ('1 scan', '2 scans', '3 people')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def sentence(words: str) -> str:
    """The words with a capital and a full stop.

    Examples
    --------
    >>> sentence("nobody is left out")
    'Nobody is left out.'
    """
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def is_true(value: Any) -> bool:
    """Whether a cell says yes.

    Examples
    --------
    >>> is_true("true"), is_true("false"), is_true(None)
    (True, False, False)
    """
    return str(value).strip().lower() in ("true", "yes", "1")


def is_number(value: Any) -> bool:
    """Whether the value is a finite number."""
    try:
        return value is not None and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
