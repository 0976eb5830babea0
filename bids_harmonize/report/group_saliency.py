"""Where the site classifier looks: the mean saliency of every site on the template."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from bids_harmonize.atlases.templates import load_template_image
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import OUTPUTS, site_label
from bids_harmonize.errors import ScanError
from bids_harmonize.report.group_blocks import Block, Cell, Figure, Fold, Paragraph, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_pictures import draw_saliency
from bids_harmonize.report.group_siteanswers import texts
from bids_harmonize.report.group_siterecall import COMPACT_SITES
from bids_harmonize.report.group_words import (
    listing,
    number,
    percent,
    saliency_words,
    with_interval,
)

_DEFAULT_METHOD = "integrated_gradients"
_N_TOP = 3
_MANY_ROWS = 3 * COMPACT_SITES  # three methods a site


def saliency_blocks(inputs: GroupInputs) -> list[Block]:
    """One mosaic a site with its top regions, and the share of saliency inside the brain.

    With many sites the mosaics are folded, and a table says where each is strongest.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        One paragraph that says why where no map was written.
    """
    if inputs.from_features:
        text = "A table of features holds no images, so there are no maps of where it looks."
        return [Paragraph(text, "absent")]
    pattern = OUTPUTS["site_mean_saliency"].pattern
    maps = sorted(inputs.output_dir.glob(f"tpl-*/anat/tpl-*{pattern}"))
    if not maps:
        text = "No mean saliency map (tpl-*/anat) was written, so none is shown."
        return [Paragraph(text, "absent"), *_regions_blocks(inputs)]
    blocks = _mosaics(inputs, maps)
    if len(maps) > COMPACT_SITES:
        folded = Fold(f"The mean maps of all {len(maps)} sites", tuple(blocks))
        blocks = [*_overview(inputs), folded]
    return [*blocks, *_regions_blocks(inputs), *_share_blocks(inputs)]


def _mosaics(inputs: GroupInputs, maps: Sequence[Path]) -> list[Block]:
    """One figure a map, or a paragraph where it cannot be read."""
    names = {site_label(site): site for site in _sites(inputs)}
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
                reading=f"{_top_words(inputs, site)}Warm colours: places that make the network "
                "say this site. Grey: the template's brain (axial, coronal, sagittal). Colour "
                "outside the grey is scalp, skull or neck.",
                size="wide",
            )
        )
    return blocks


def _overview(inputs: GroupInputs) -> list[Block]:
    """Where each site's map is strongest, one line a site; empty without the table of regions."""
    found = {site: _top_regions(inputs, site) for site in sorted(_sites(inputs))}
    rows: list[list[str | Cell]] = [
        [Cell(site, "strong"), words] for site, words in found.items() if words
    ]
    if not rows:
        return []
    return [
        make_table(
            "What speaks for each site: where its mean map is strongest",
            {"site": False, f"regions with the largest shares {_of_atlas(inputs)}".strip(): False},
            rows,
            reading="In brackets: share of the positive saliency of the site's mean map. The maps "
            "themselves are folded below.",
        )
    ]


def _of_atlas(inputs: GroupInputs) -> str:
    """Which atlas of the user's named the regions, in words; empty for the coarse ones."""
    atlas = inputs.settings.group.atlas
    return f"(atlas {Path(atlas).name})" if atlas else ""


def _sites(inputs: GroupInputs) -> list[str]:
    """Every site that a table knows; a map's file name holds only its label."""
    found = [str(site) for site in inputs.scans.get("site", []) if site]
    for key in ("sitepredictions", "saliency", "saliencyregions"):
        if key in inputs.tables:
            found += [site for site in texts(inputs.tables[key], "site") if site]
    return list(dict.fromkeys(found))


def _top_words(inputs: GroupInputs, site: str) -> str:
    """The regions that hold most of the site's map, as a sentence; empty without the table."""
    named = _top_regions(inputs, site)
    return f"Strongest in: {named}. " if named else ""


def _top_regions(inputs: GroupInputs, site: str) -> str:
    table = inputs.tables.get("saliencyregions")
    if table is None:
        return ""
    own = table[(texts(table, "site") == site) & (texts(table, "region") != "")]
    methods = list(dict.fromkeys(texts(own, "method")))
    if not methods:
        return ""
    method = _DEFAULT_METHOD if _DEFAULT_METHOD in methods else methods[0]
    top = own[texts(own, "method") == method].sort_values("rank").head(_N_TOP)
    return listing(f"{row['region']} ({percent(row['share'])})" for _, row in top.iterrows())


def _regions_blocks(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("saliencyregions")
    if table is None:
        text = "There is no group_saliencyregions.tsv, so the regions are not named."
        return [Paragraph(text, "absent")]
    order = table.assign(_site=texts(table, "site"), _method=texts(table, "method"))
    rows: list[list[str | Cell]] = [
        [
            Cell(str(row.get("site")), "strong"),
            saliency_words(row.get("method")),
            number(row["rank"], 0),
            str(row.get("region")),
            percent(row["share"]),
            number(row["ratio"]),
            ", ".join(number(row[name], 0) for name in ("x_mm", "y_mm", "z_mm")),
        ]
        for _, row in order.sort_values(["_site", "_method", "rank"]).iterrows()
    ]
    return [
        make_table(
            f"Regions that the maps mark most {_of_atlas(inputs)}".strip(),
            {
                "site": False, "map by": False, "rank": True, "region": False,
                "share of saliency": True, "ratio to its size": True, "peak (x, y, z in mm)": True,
            },
            rows,
            reading="Ratio: 1 if the region holds as much as its size would suggest. Peak: place "
            "of the strongest voxel on the template (right, front and top are positive).",
            folded=True,
        )
    ]  # fmt: skip


def _share_blocks(inputs: GroupInputs) -> list[Block]:
    known = _shares(inputs)
    if known.empty:
        text = "How much of the saliency lies inside the brain stands in no table."
        return [Paragraph(text, "absent")]
    rows: list[list[str | Cell]] = []
    for (site, method), own in known.groupby(["site", "method"], sort=False):
        low, high = own["ratio"].quantile([0.25, 0.75])
        rows.append(
            [
                Cell(str(site), "strong"),
                saliency_words(method),
                with_interval(own["ratio"].median(), low, high),
                percent(own["share"].median()),
                str(len(own)),
            ]
        )
    return [
        make_table(
            "How much of the saliency lies inside the brain",
            {
                "site": False, "map by": False, "ratio to its size": True,
                "share of saliency": True, "scans": True,
            },
            rows,
            reading="Medians over scans, in brackets the middle half. Ratio: share of the "
            "saliency over the brain's share of the head. Above 1, the network weighs the brain "
            "more than its size would suggest; below 1, it decides more on scalp, skull and neck.",
            folded=len(rows) > _MANY_ROWS,
        )
    ]  # fmt: skip


def _shares(inputs: GroupInputs) -> pd.DataFrame:
    """Columns site, method, share, ratio; from the predictions where an older output has no more.

    Sites in alphabetical order; within a site, the default method first.
    """
    table = inputs.tables.get("saliency")
    columns, method = ("in_brain", "brain_ratio"), None
    if table is None:
        table = inputs.tables.get("sitepredictions")
        columns, method = ("saliency_in_brain", "saliency_brain_ratio"), _DEFAULT_METHOD
    if table is None:
        return pd.DataFrame(columns=["site", "method", "share", "ratio"])
    frame = pd.DataFrame(
        {
            "site": texts(table, "site"),
            "method": texts(table, "method") if method is None else method,
            "share": table[columns[0]],
            "ratio": table[columns[1]],
        }
    )
    known = frame[frame["site"] != ""].dropna(subset=["share"])
    first = known["method"] != _DEFAULT_METHOD
    return known.assign(_first=first).sort_values(["site", "_first", "method"], kind="stable")


def _on_map(
    volume: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], map_affine: np.ndarray
) -> np.ndarray:
    to_volume = np.linalg.inv(affine) @ map_affine
    return ndimage.affine_transform(
        volume, to_volume[:3, :3], to_volume[:3, 3], output_shape=shape, order=1
    )
