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
from bids_harmonize.report.group_words import number, percent


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
    rows: list[list[str | Cell]] = []
    for path in maps:
        label = path.name.split("_")[0].removeprefix("tpl-")
        site = names.get(label, label)
        try:
            saliency, affine = read_image(path)
        except ScanError as error:
            blocks.append(Paragraph(f"{path.name} cannot be read: {error}", "absent"))
            continue
        template = _on_map(*load_template_image("t1"), saliency.shape, affine)
        inside, volume = _shares(saliency, template > 0)
        rows.append([
            Cell(site, "strong"), percent(inside), percent(volume),
            number(inside / volume if volume else np.nan),
        ])  # fmt: skip
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
    if rows:
        blocks.append(
            make_table(
                "How much of the saliency lies inside the brain",
                {
                    "site": False, "share of saliency": True,
                    "brain's share of the head": True, "ratio": True,
                },
                rows,
                reading="Positive saliency of the mean map, inside the template's brain. A ratio "
                "above 1 means that the network weighs the brain more than its size would "
                "suggest; below 1, that it decides on scalp, skull and neck.",
            )
        )  # fmt: skip
    return blocks


def _shares(saliency: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
    positive = np.clip(saliency, 0, None)
    head = saliency != 0
    total, n_head = float(positive.sum()), int((head | brain).sum())
    if total <= 0 or not n_head:
        return float("nan"), float("nan")
    return float(positive[brain].sum()) / total, float(brain.sum()) / n_head


def _on_map(
    volume: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], map_affine: np.ndarray
) -> np.ndarray:
    to_volume = np.linalg.inv(affine) @ map_affine
    return ndimage.affine_transform(
        volume, to_volume[:3, :3], to_volume[:3, 3], output_shape=shape, order=1
    )
