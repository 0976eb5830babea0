"""Harmonizers: one protocol, one table, one module each, and one way to apply them.

A row of :data:`HARMONIZERS` is made of strings that are loaded on use, so that the command line
can list the methods without importing torch. To add one: write a module with ``Settings`` and
``make``, and add its row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from bids_harmonize.errors import UsageError

if TYPE_CHECKING:
    from bids_harmonize.harmonizers.base import Harmonizer

__all__ = [
    "HARMONIZERS",
    "HarmonizerRow",
    "baselines",
    "check_harmonizer_settings",
    "check_sources",
    "make_harmonizer",
]


@dataclass(frozen=True)
class HarmonizerRow:
    """One method: its name, its module with ``Settings`` and ``make``, and what it is."""

    name: str
    target: str
    trained: bool
    description: str
    citation: str


HARMONIZERS: dict[str, HarmonizerRow] = {
    row.name: row
    for row in (
        HarmonizerRow(
            "identity",
            "bids_harmonize.harmonizers.identity:make",
            False,
            "changes nothing but the scale",
            "",
        ),
        HarmonizerRow(
            "nyul",
            "bids_harmonize.harmonizers.nyul:make",
            False,
            "moves eleven percentiles to their mean at the other site",
            "Nyul, Udupa and Zhang 2000, doi:10.1109/42.836373",
        ),
        HarmonizerRow(
            "histogram",
            "bids_harmonize.harmonizers.histogram:make",
            False,
            "moves the whole histogram to the mean histogram of the other site",
            "Gonzalez and Woods 2018, Digital Image Processing, ISBN 9780133356724",
        ),
        HarmonizerRow(
            "n4",
            "bids_harmonize.harmonizers.n4:make",
            False,
            "takes the smooth bias field of the coil out",
            "Tustison et al. 2010, doi:10.1109/TMI.2010.2046908",
        ),
        HarmonizerRow(
            "n4_histogram",
            "bids_harmonize.harmonizers.n4_histogram:make",
            False,
            "takes the bias field out, then matches the histogram",
            "Tustison et al. 2010, doi:10.1109/TMI.2010.2046908",
        ),
        HarmonizerRow(
            "localhistogram",
            "bids_harmonize.harmonizers.localhistogram:make",
            True,
            "bilateral generators trained on local histograms, without adversary",
            "Gharbi et al. 2017, doi:10.1145/3072959.3073592",
        ),
        HarmonizerRow(
            "cyclegan",
            "bids_harmonize.harmonizers.cyclegan:make",
            True,
            "generators in a cycle against patch discriminators",
            "Zhu et al. 2017, doi:10.1109/ICCV.2017.244",
        ),
    )
}


def make_harmonizer(
    name: str,
    *,
    reference_site: str,
    source_sites: Iterable[str],
    voxel_size_mm: float,
    scaling_mask: str = "brain",
    settings: Mapping[str, Any] | None = None,
    sources: str = "pairwise",
) -> "Harmonizer":
    """A harmonizer that has not been fitted yet.

    Parameters
    ----------
    name
        A name of :data:`HARMONIZERS`.
    reference_site, source_sites
        The site to harmonize to, and those to harmonize from.
    voxel_size_mm
        Voxel size of the study grid, mm.
    scaling_mask
        ``brain`` or ``head``: where the 99th percentile that sets the unit is taken.
    settings
        The method's own settings; what is missing takes its default.
    sources
        ``pairwise``, or ``joint`` for one model of all source sites.

    Returns
    -------
    Harmonizer
        Ready for ``fit``.

    Raises
    ------
    UsageError
        If the name is unknown, a setting cannot be used, or a method without training is to be
        joint.
    """
    from bids_harmonize.harmonizers.base import Frame

    frame = Frame(
        reference_site=reference_site,
        source_sites=tuple(sorted(set(source_sites) - {reference_site})),
        voxel_size_mm=float(voxel_size_mm),
        scaling_mask=scaling_mask,
        sources=check_sources(name, sources),
    )
    checked = check_harmonizer_settings(name, settings or {})
    harmonizer: Harmonizer = resolve_name(_row(name).target)(frame, checked)
    return harmonizer


def check_sources(name: str, sources: str) -> str:
    """``pairwise`` or ``joint``, where the method can be that.

    Parameters
    ----------
    name
        A name of :data:`HARMONIZERS`.
    sources
        The value of ``--sources``.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UsageError
        If the name or the word is unknown, or a method without training is to be joint.
    """
    row = _row(name)
    if sources not in ("pairwise", "joint"):
        message = f"sources: found {sources!r}; expected pairwise or joint"
        raise UsageError(message)
    if sources == "joint" and not row.trained:
        trained = ", ".join(other.name for other in HARMONIZERS.values() if other.trained)
        message = (
            f"--sources joint goes ill with --harmonizer {name}, which trains nothing; leave it "
            f"out, or take one of: {trained}"
        )
        raise UsageError(message)
    return sources


def check_harmonizer_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The complete settings of a method.

    Parameters
    ----------
    name
        A name of :data:`HARMONIZERS`.
    settings
        Key to value; what is missing takes its default.

    Returns
    -------
    dict
        Every setting of the method.

    Raises
    ------
    UsageError
        If the name is unknown, or for settings that cannot be used, all in one message.
    """
    from pydantic import TypeAdapter, ValidationError

    from bids_harmonize.config import describe_faults

    module = _row(name).target.partition(":")[0]
    try:
        checked = TypeAdapter(resolve_name(f"{module}:Settings")).validate_python(dict(settings))
    except ValidationError as error:
        raise UsageError(describe_faults(error, source=f"harmonizer {name}")) from None
    return asdict(checked)


def baselines() -> tuple[str, ...]:
    """Names of the methods that need no training."""
    return tuple(row.name for row in HARMONIZERS.values() if not row.trained)


def _row(name: str) -> HarmonizerRow:
    if name not in HARMONIZERS:
        message = f"unknown harmonizer {name!r}. Available: {', '.join(HARMONIZERS)}"
        raise UsageError(message)
    return HARMONIZERS[name]
