"""Where the site classifier looks: the mean saliency of every site on the template."""

import numpy as np
from scipy import ndimage

from bids_harmonize.atlases.templates import load_template_image
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import OUTPUTS, site_label
from bids_harmonize.errors import ScanError
from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_pictures import draw_saliency
from bids_harmonize.report.group_words import percent, with_interval


def saliency_blocks(inputs: GroupInputs) -> list[Block]:
    """One mosaic a site and a table of the share of saliency inside the brain.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        One paragraph that says why where no map was written.
    """
    pattern = OUTPUTS["site_mean_saliency"].pattern
    maps = sorted(inputs.output_dir.glob(f"tpl-*/anat/tpl-*{pattern}"))
    if not maps:
        text = "No mean saliency map (tpl-*/anat) was written, so none is shown."
        return [Paragraph(text, "absent")]
    names = {site_label(site): site for site in inputs.scans.get("site", []) if site}
    blocks: list[Block] = []
    for path in maps:
        label = path.name.split("_")[0].removeprefix("tpl-")
        site = names.get(label, label)
        try:
            saliency, affine = read_image(path)
        except ScanError as error:
            blocks.append(Paragraph(f"{path.name} cannot be read: {error}", "absent"))
            continue
        template = _on_map(*load_template_image("t1"), saliency.shape, affine)
        blocks.append(
            Figure(
                title=f"What speaks for {site}: mean over its scans",
                source=draw_saliency(saliency, template, affine),
                alt=f"Mean site saliency of {site} over the template's brain.",
                reading="Warm colours: regions whose look makes the network say this site, on "
                "the template (axial, coronal, sagittal). Grey: the template's brain. Colour "
                "outside the grey is scalp, skull or neck.",
                size="wide",
            )
        )
    blocks.append(_share_table(inputs))
    return blocks


def _share_table(inputs: GroupInputs) -> Block:
    table = inputs.tables.get("sitepredictions")
    known = None if table is None else table.dropna(subset=["saliency_in_brain"])
    if known is None or known.empty:
        text = "How much of the saliency lies inside the brain stands in no table."
        return Paragraph(text, "absent")
    rows: list[list[str | Cell]] = []
    for site, own in known.groupby("site"):
        ratio = own["saliency_brain_ratio"]
        low, high = ratio.quantile([0.25, 0.75])
        rows.append(
            [
                Cell(str(site), "strong"),
                str(len(own)),
                percent(own["saliency_in_brain"].median()),
                with_interval(ratio.median(), low, high),
            ]
        )
    return make_table(
        "How much of the saliency lies inside the brain",
        {
            "site": False,
            "scans": True,
            "share of saliency": True,
            "ratio to the brain's share of the head": True,
        },
        rows,
        reading="Medians over scans, in brackets the middle half. A ratio above 1 means that the "
        "network weighs the brain more than its size would suggest; below 1, that it decides on "
        "scalp, skull and neck.",
    )


def _on_map(
    volume: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], map_affine: np.ndarray
) -> np.ndarray:
    to_volume = np.linalg.inv(affine) @ map_affine
    return ndimage.affine_transform(
        volume, to_volume[:3, :3], to_volume[:3, 3], output_shape=shape, order=1
    )
