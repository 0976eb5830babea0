"""Pictures of one person a direction: before, after, and really scanned at the target site."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.study import Study
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.head_pair import HeadScan, register_heads
from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.imaging.registration import apply_world_transform
from bids_harmonize.report.group_blocks import Block, Figure, Paragraph
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_pictures import draw_columns, mask_centre

_MIDDLE_WORDS = (
    "The person shown is the one in the middle of the brain PSNR, neither the best nor the worst."
)


@dataclass(frozen=True)
class _Loaded:
    volume: np.ndarray  # rescaled units
    brain: np.ndarray | None
    head: np.ndarray
    affine: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Where it is rescaled and looked at."""
        return self.head if self.brain is None else self.brain


def picture_blocks(inputs: GroupInputs) -> list[Block]:
    """One figure for each source site, or one paragraph that says why there is none.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        The person in the middle of the brain PSNR is shown, neither the best nor the worst.
    """
    study, reference = inputs.study, inputs.reference_site
    if study is None or reference is None:
        return [Paragraph("Without a readable study no pictures can be chosen.", "absent")]
    blocks: list[Block] = []
    for source in (site for site in study.trained_sites if site != reference):
        scan = _scan_to_show(inputs, study, source=source, reference=reference)
        if scan is None:
            blocks.append(Paragraph(f"No harmonized image of {source} was found.", "absent"))
            continue
        try:
            figure = _picture(study, scan, reference=reference, output_dir=inputs.output_dir)
        except ScanError as error:
            blocks.append(Paragraph(f"A picture of {source} cannot be drawn: {error}", "absent"))
            continue
        if scan.participant_id == _middle_person(inputs, source=source, reference=reference):
            figure = replace(figure, reading=f"{figure.reading} {_MIDDLE_WORDS}")
        blocks.append(figure)
    return blocks


def _scan_to_show(
    inputs: GroupInputs, study: Study, *, source: str, reference: str
) -> DerivedScan | None:
    candidates = [
        scan
        for scan in study.of_site(source)
        if scan.usable
        and scan_output(study.output_dir, scan.stem, "harmonized", reference=reference).is_file()
    ]
    travelling = [scan for scan in candidates if scan.participant_id in study.travelling]
    both = [scan for scan in travelling if _at_site(study, scan, reference) is not None]
    middle = _middle_person(inputs, source=source, reference=reference)
    for scan in both:
        if scan.participant_id == middle:
            return scan
    return next(iter([*both, *candidates]), None)


def _middle_person(inputs: GroupInputs, *, source: str, reference: str) -> str | None:
    table = inputs.tables.get("travelling")
    if table is None:
        return None
    rows = table[
        (table["kind"] == "direct") & (table["method"] == inputs.chosen_method)
        & (table["mask"] == "brain") & (table["metric"] == "psnr")
        & (table["source_site"] == source) & (table["target_site"] == reference)
    ]  # fmt: skip
    if rows.empty:
        return None
    means = rows.groupby("participant_id")["value"].mean().sort_values()
    return str(means.index[len(means) // 2])


def _at_site(study: Study, scan: DerivedScan, site: str) -> DerivedScan | None:
    own = [
        other
        for other in study.of_site(site)
        if other.participant_id == scan.participant_id and other.usable
    ]
    return own[0] if own else None


def _picture(study: Study, scan: DerivedScan, *, reference: str, output_dir: Path) -> Figure:
    before = _load(scan.t1w, scan)
    after = _load(scan_output(output_dir, scan.stem, "harmonized", reference=reference), scan)
    target_scan = _at_site(study, scan, reference)
    columns = [
        (f"{scan.site}\nbefore", before.volume, False),
        (f"{scan.site} harmonized\nto {reference}", after.volume, False),
    ]
    centre = mask_centre(before.mask)
    if target_scan is not None:
        real = _aligned(_load(target_scan.t1w, target_scan), before)
        columns += [
            (f"really scanned\nat {reference}", real, False),
            ("before minus real\nscan", _difference(before, real), True),
            ("harmonized minus\nreal scan", _difference(after, real), True),
        ]
    columns.append(("what harmonization\nchanged", after.volume - before.volume, True))
    return Figure(
        title=f"{scan.site} to {reference}: {scan.participant_id}",
        source=draw_columns(columns, centre=centre, voxel_size_mm=study.voxel_size_mm),
        alt=f"Slices of {scan.participant_id} before and after harmonization to {reference}.",
        reading=_reading(has_target=target_scan is not None, scan=scan),
        size="wide",
    )


def _reading(*, has_target: bool, scan: DerivedScan) -> str:
    text = (
        f"Scan {scan.stem}, slices through the centre of the brain, every image between its own "
        "1st (0) and 99th (1) percentile in the brain. Differences: red is brighter, blue darker, "
        "white none."
    )
    if has_target:
        return (
            f"{text} The real scan "
            "was moved onto the source scan by one rigid registration; thin lines along edges in "
            "its differences are residual misalignment and noise."
        )
    return f"{text} Nobody was scanned at both sites, so there is no real scan to compare with."


def _aligned(real: _Loaded, source: _Loaded) -> np.ndarray:
    """The real scan on the source scan's grid, both in rescaled units."""
    one, other = (HeadScan(x.volume, x.affine, x.head, x.brain) for x in (real, source))
    transform = register_heads(one, other)
    grid = Grid(source.volume.shape, source.affine)
    return apply_world_transform(real.volume, real.affine, transform, grid, interpolation="linear")


def _load(path: Path, scan: DerivedScan) -> _Loaded:
    volume, affine = read_image(path)
    head, _ = read_mask(scan.head_mask)
    brain = None if scan.brain_mask is None else read_mask(scan.brain_mask)[0]
    scaled = percentile_scaling(volume, head if brain is None else brain).apply(volume)
    return _Loaded(np.where(volume == 0, np.float32(0), scaled), brain, head, affine)


def _difference(image: _Loaded, real: np.ndarray) -> np.ndarray:
    seen = (image.volume != 0) & (real != 0)
    return np.where(seen, image.volume - real, 0).astype(np.float32)
