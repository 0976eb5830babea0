"""Cases against controls voxel by voxel: what survives, where, and how sure that is."""

import pandas as pd

from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import OUTPUTS, template_output
from bids_harmonize.errors import ScanError
from bids_harmonize.report.group_blocks import Block, Cell, Figure, Fold, Paragraph, make_table
from bids_harmonize.report.group_disorderarms import CALLED, arms_of, best_arm
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_tables import column_descriptions
from bids_harmonize.report.group_voxelpictures import (
    ArmMap,
    common_top,
    draw_slices,
    draw_through,
)
from bids_harmonize.report.group_words import count, number, p_value

_MOST_CLUSTERS = 30
_READING = (
    "d: adjusted difference in smoothed density of grey matter (8 mm), cases minus controls; red: "
    "cases have more, blue: less. Black line: what survives the correction for all voxels. "
    "Smoothing spreads a difference by millimetres, so the line is no border of anatomy."
)


def voxel_blocks(inputs: GroupInputs) -> list[Block]:
    """What survives in words, pictures of every arm on one scale, and a table of places.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    list of Block
        Empty where the study has no images; a paragraph with the reason where it has.
    """
    table = inputs.tables.get("voxelwise")
    if table is None:
        if inputs.from_features:
            return []
        text = (
            "There is no group_voxelwise.tsv, so cases were not compared with controls voxel by "
            "voxel: the stages features and disorder have not run with one work directory."
        )
        return [Paragraph(text, "absent")]
    return [
        Paragraph(" ".join([*(_survivors(table, arm) for arm in arms_of(table)), _how(inputs)])),
        *_pictures(inputs, table),
        *_places(inputs),
    ]


def voxel_difference(inputs: GroupInputs) -> str:
    """What survives in the arm that does most about the site; empty where nothing does.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    str
        A sentence.
    """
    table = inputs.tables.get("voxelwise")
    if table is None:
        return ""
    best = best_arm(table)
    n_called = int(table.loc[table["arm"] == best, "n_called"].iloc[0])
    return f"Voxel by voxel: {_lower_first(_survivors(table, best))}" if n_called else ""


def _lower_first(words: str) -> str:
    return f"{words[:1].lower()}{words[1:]}"


def _survivors(table: pd.DataFrame, arm: str) -> str:
    row = table[table["arm"] == arm].iloc[0]
    n, total = int(row["n_called"]), int(row["n_voxels"])
    if not n:
        return (
            f"Arm {arm}: no voxel of {total} survives the correction (least p "
            f"{p_value(row['p_least'])}), which does not prove that there is no difference."
        )
    return (
        f"Arm {arm}: {count(n, 'voxel')} of {total} in grey matter "
        f"({number(row['volume_ml'], 1)} mL) {'differs' if n == 1 else 'differ'} between cases "
        f"and controls at a corrected p of {CALLED:g} (least p {p_value(row['p_least'])})."
    )


def _how(inputs: GroupInputs) -> str:
    told = column_descriptions(inputs.output_dir, "voxelwise").get("n_permutations")
    effort = told.get("Effort") if isinstance(told, dict) else None
    n = inputs.tables["voxelwise"]["n_permutations"].iloc[0]
    quick = ", few because of --effort quick" if effort == "quick" else ""
    return (
        f"In every arm p comes from {number(n, 0)} permutations of people within their sites"
        f"{quick}, so that what a site does is not taken for the disorder; d of the arm raw shows "
        "it all the same. There is no arm combat: it would have to be fitted anew in every "
        "permutation."
    )


def _pictures(inputs: GroupInputs, table: pd.DataFrame) -> list[Block]:
    maps: dict[str, ArmMap] = {}
    for arm in arms_of(table):
        try:
            found = _read(inputs, arm)
        except ScanError as error:
            return [Paragraph(f"A map cannot be read: {error}", "absent")]
        if found is None:
            text = f"The maps of the arm {arm} (tpl-*/anat) are not there, so none is shown."
            return [Paragraph(text, "absent")]
        maps[arm] = found
    top, best = common_top(maps), best_arm(table)
    blocks: list[Block] = [
        Figure(
            title="Differences between cases and controls, seen through the brain",
            source=draw_through(maps, top),
            alt="Three views of the brain an arm: largest difference along the line of sight.",
            reading="The largest d along the line of sight (axial, coronal, sagittal). "
            f"{_READING}",
        ),
        _slices(maps[best], best, top),
    ]
    others = tuple(_slices(one, arm, top) for arm, one in maps.items() if arm != best)
    return [*blocks, Fold("The same slices in the other arms", others)] if others else blocks


def _slices(found: ArmMap, arm: str, top: float) -> Block:
    return Figure(
        title=f"Differences voxel by voxel, arm {arm}",
        source=draw_slices(found, top),
        alt=f"Slices of the template with the difference in colour, arm {arm}.",
        reading=f"Axial, coronal, sagittal. {_READING} Colours are the same in all arms.",
        size="wide",
    )


def _read(inputs: GroupInputs, arm: str) -> ArmMap | None:
    keys = (f"group_effect_{arm}", f"group_effect_p_{arm}")
    if not all(key in OUTPUTS for key in keys):
        return None
    paths = [template_output(inputs.output_dir, key) for key in keys]
    if not all(path.is_file() for path in paths):
        return None
    (d, affine), (p, _) = (read_image(path) for path in paths)
    return ArmMap(d, (p < CALLED).astype(float), affine)


def _places(inputs: GroupInputs) -> list[Block]:
    table = inputs.tables.get("voxelclusters")
    if table is None:
        return []
    shown = table.head(_MOST_CLUSTERS)
    rows: list[list[str | Cell]] = [
        [
            Cell(str(row["arm"]), "strong"),
            number(row["volume_ml"], 1),
            number(row["d"]),
            p_value(row["p"]),
            ", ".join(number(row[f"{axis}_mm"], 0) for axis in "xyz"),
            str(row["region"]),
        ]
        for _, row in shown.iterrows()
    ]
    more = len(table) - len(shown)
    return [
        make_table(
            "Where what survives lies",
            {"arm": False, "mL": True, "largest d": True, "least p": True,
             "at x, y, z (mm)": False, "region there": False},
            rows,
            reading="Voxels that survive and share faces, the largest of each arm first. The "
            "largest d of many is larger than it would be in other people. Coarse regions of the "
            "template."
            + (f" The other {more} stand in group_voxelclusters.tsv." if more else ""),
            folded=True,
        )
    ]  # fmt: skip
