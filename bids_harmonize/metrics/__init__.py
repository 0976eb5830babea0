"""Two images, or predictions, to one number with unit, direction and citation.

A metric is one pure function and one row of :data:`METRICS`: the column description in the JSON
files, the report's table and the methods paragraph are made from the row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Literal

__all__ = ["METRICS", "MetricRow", "load_metric"]

Direction = Literal["higher is better", "lower is better", "1 is best"]
Inputs = Literal[
    "image pair", "image and reference level", "labels", "probabilities", "feature samples"
]


@dataclass(frozen=True)
class MetricRow:
    """One metric; ``inputs`` says what its function takes."""

    name: str
    target: str
    inputs: Inputs
    unit: str
    direction: Direction
    citation: str
    description: str


METRICS: dict[str, MetricRow] = {
    row.name: row
    for row in (
        MetricRow(
            "ssim",
            "bids_harmonize.metrics.similarity:ssim",
            "image pair",
            "1",
            "higher is better",
            "Wang et al. 2004, doi 10.1109/TIP.2003.819861",
            "structural similarity (Gaussian window, sigma 1.5 voxels), mean in the mask",
        ),
        MetricRow(
            "psnr",
            "bids_harmonize.metrics.similarity:psnr",
            "image pair",
            "dB",
            "higher is better",
            "Hore and Ziou 2010, doi 10.1109/ICPR.2010.579",
            "peak signal-to-noise ratio in the mask, peak 1.0 in rescaled units",
        ),
        MetricRow(
            "mae",
            "bids_harmonize.metrics.similarity:mae",
            "image pair",
            "rescaled units",
            "lower is better",
            "Willmott and Matsuura 2005, doi 10.3354/cr030079",
            "mean absolute difference in the mask",
        ),
        MetricRow(
            "correlation",
            "bids_harmonize.metrics.similarity:correlation",
            "image pair",
            "1",
            "higher is better",
            "Pearson 1895, doi 10.1098/rspl.1895.0041",
            "Pearson correlation of the voxels in the mask",
        ),
        MetricRow(
            "sharpness",
            "bids_harmonize.metrics.sharpness:sharpness",
            "image and reference level",
            "ratio",
            "1 is best",
            "Pertuz et al. 2013, doi 10.1016/j.patcog.2012.11.011",
            "mean gradient magnitude in the eroded brain mask, divided by that of the target "
            "site's own scans; below 1 is blurrier, above 1 sharper (or noisier)",
        ),
        MetricRow(
            "accuracy",
            "bids_harmonize.metrics.siteness:accuracy",
            "labels",
            "1",
            "lower is better",
            "Sokolova and Lapalme 2009, doi 10.1016/j.ipm.2009.03.002",
            "share of scans whose site was named correctly; "
            "on harmonized images lower means that less of the site is left",
        ),
        MetricRow(
            "balanced_accuracy",
            "bids_harmonize.metrics.siteness:balanced_accuracy",
            "labels",
            "1",
            "lower is better",
            "Brodersen et al. 2010, doi 10.1109/ICPR.2010.764",
            "mean over sites of the share of its scans whose site was named correctly; "
            "on harmonized images lower means that less of the site is left, down to chance",
        ),
        MetricRow(
            "calibration_error",
            "bids_harmonize.metrics.calibration:expected_calibration_error",
            "probabilities",
            "1",
            "lower is better",
            "Guo et al. 2017, https://proceedings.mlr.press/v70/guo17a.html",
            "expected calibration error: mean distance of the probability of the named site and "
            "the share of scans named rightly, in ten bins of the probability",
        ),
        MetricRow(
            "brier",
            "bids_harmonize.metrics.calibration:brier_score",
            "probabilities",
            "1",
            "lower is better",
            "Brier 1950, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
            "Brier score: squared distance of the sites' probabilities to the truth, summed over "
            "sites, mean over scans; 0 to 2",
        ),
        MetricRow(
            "mmd",
            "bids_harmonize.metrics.siteness:mmd",
            "feature samples",
            "1",
            "lower is better",
            "Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html",
            "unbiased squared maximum mean discrepancy between two samples of features; "
            "Gaussian kernel, bandwidth the median distance",
        ),
    )
}


def load_metric(name: str) -> Callable[..., float]:
    """The function of a metric.

    Parameters
    ----------
    name
        A name of :data:`METRICS`.

    Returns
    -------
    callable
        What its row's ``target`` names.

    Raises
    ------
    KeyError
        If there is no such metric; the message lists those there are.

    Examples
    --------
    >>> load_metric("accuracy")(["A", "B"], ["A", "A"])
    0.5
    """
    if name not in METRICS:
        message = f"unknown metric {name!r}. Available: {', '.join(METRICS)}"
        raise KeyError(message)
    function: Callable[..., float] = resolve_name(METRICS[name].target)
    return function
