"""What harmonization changes at each source site, as a map on the template."""

import numpy as np

from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import site_output
from bids_harmonize.errors import ScanError
from bids_harmonize.report.group_blocks import Block, Figure, Fold, Paragraph
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_pictures import draw_change
from bids_harmonize.report.group_siterecall import COMPACT_SITES

_COLOURS = "Colours end at the 99th percentile of the change deeper than 20 mm in the head."
_STRUCTURE_READING = (
    "Mean over scans of the gradient magnitude of the harmonized minus that of the preprocessed "
    "image, per mm, over the site's mean image. Red: edges made steeper; blue: flatter. Wide even "
    "areas follow the contrast of the target; a spot that stands out is structure that was drawn "
    "or erased."
)
_READING = (
    "Mean over scans of the harmonized minus the preprocessed image, each rescaled by its own 1st "
    "and 99th percentile, over the site's mean image (axial, coronal, sagittal). Red: made "
    "brighter; blue: made darker; 1 is the range from fluid to bright white matter. This is what "
    "the harmonizer took for the scanner's doing; where sites scanned unlike people it may be "
    "theirs."
)


def effect_blocks(inputs: GroupInputs) -> list[Block]:
    """Two figures a source site, intensity and edges; folded where there are many.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        One paragraph that says why where no map was written.
    """
    study = inputs.study
    sites = [] if study is None else [s for s in study.trained_sites if s != study.reference_site]
    blocks = [block for site in sites for block in _figures(inputs, site)]
    if not blocks:
        text = (
            "There is no map of the site effect (tpl-*/anat): the stage evaluate has not run, or "
            "scans have no way to the template."
        )
        return [Paragraph(text, "absent")]
    if len(sites) > COMPACT_SITES:
        return [Fold(f"What is changed at each of {len(sites)} sites", tuple(blocks))]
    return blocks


def _figures(inputs: GroupInputs, site: str) -> list[Block]:
    effect = _figure(inputs, site, "site_effect", "What is changed in scans of", _READING)
    edges = _figure(inputs, site, "structure_change", "Where edges change at", _STRUCTURE_READING)
    return [block for block in (effect, edges) if block is not None]


def _figure(inputs: GroupInputs, site: str, key: str, title: str, reading: str) -> Block | None:
    path = site_output(inputs.output_dir, site, key)
    if not path.is_file():
        return None
    try:
        change, affine = read_image(path)
        image = read_image(site_output(inputs.output_dir, site, "site_mean"))[0]
    except ScanError as error:
        return Paragraph(f"{path.name} cannot be read: {error}", "absent")
    largest = float(np.abs(change).max())
    return Figure(
        title=f"{title} {site}: mean over its scans",
        source=draw_change(change, image, affine),
        alt=f"{title} {site}, mean of its scans on the template; at most {largest:.2g}.",
        reading=f"{reading} {_COLOURS}",
        size="wide",
    )
