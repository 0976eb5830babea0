"""What all scans of a study must share: one grid, and brain masks or none."""

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.images import read_grid
from bids_harmonize.errors import UnusableDataError

VOXEL_SIZE_DECIMALS = 4


def scaling_mask_of(scans: tuple[DerivedScan, ...]) -> str:
    """``brain``, or ``head`` where no scan has a brain mask.

    Raises
    ------
    UnusableDataError
        If some have one and some have none.
    """
    without = [scan.stem for scan in scans if scan.brain_mask is None]
    if without and len(without) < len(scans):
        message = (
            f"{len(without)} of {len(scans)} scans have no brain mask: {_some(without)}; run "
            "participant again with one --brain-mask for all"
        )
        raise UnusableDataError(message)
    return "head" if without else "brain"


def one_grid(scans: tuple[DerivedScan, ...]) -> tuple[tuple[int, int, int], float]:
    """Shape and voxel size, mm, of the grid on which all scans lie.

    Raises
    ------
    UnusableDataError
        If they lie on different ones, which are listed.
    """
    grids: dict[tuple[tuple[int, int, int], float], list[str]] = {}
    for scan in scans:
        shape, affine = read_grid(scan.t1w)
        size = float((affine[:3, 0] ** 2).sum() ** 0.5)
        grids.setdefault((shape, round(size, VOXEL_SIZE_DECIMALS)), []).append(scan.stem)
    if len(grids) > 1:
        lines = [
            f"  {' x '.join(map(str, shape))} voxels of {size:g} mm: {len(stems)} scans, "
            f"{_some(stems)}"
            for (shape, size), stems in grids.items()
        ]
        message = "the scans lie on different grids; run participant again with one --resolution"
        raise UnusableDataError("\n".join([f"{message}:", *lines]))
    return next(iter(grids))


def _some(names: list[str], n_shown: int = 5) -> str:
    return ", ".join(names[:n_shown]) + (", ..." if len(names) > n_shown else "")
