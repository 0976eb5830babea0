"""Maps of the voxel-wise comparison on disk, and the rows that say what survives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import ndimage

from bids_harmonize.atlases.regions import load_brain_regions
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import OUTPUTS, group_output, template_output
from bids_harmonize.bids.provenance import bids_uri
from bids_harmonize.bids.sidecars import remove_with_sidecar, sidecar_path
from bids_harmonize.config import Settings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.case_control.arms import ARM_WORDS
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.voxelwise import VoxelMap, find_voxel_maps
from bids_harmonize.stages.case_control.writing import write_tables
from bids_harmonize.stages.records import StageContext
from bids_harmonize.stages.tissue.density import FWHM_MM, GRID_MM, LEAST_GREY, density_grid
from bids_harmonize.stats.enhancement import EXTENT, HEIGHT, STEP

TABLES: Final = ("voxelwise", "voxelclusters")
"""What is written besides maps, without ``group_``."""

CALLED: Final = 0.05

_VOXEL_ML: Final = GRID_MM**3 / 1e3


@dataclass(frozen=True)
class WrittenMaps:
    """Files, and what is to be said."""

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def write_voxel_maps(context: StageContext, cohorts: Sequence[Cohort]) -> WrittenMaps:
    """Compare cases with controls voxel by voxel; maps that are not made anew go.

    Parameters
    ----------
    context
        The study, with what the stage ``features`` left in the work directory.
    cohorts
        One a table.

    Returns
    -------
    WrittenMaps
        A warning says why there are no maps.
    """
    maps: list[VoxelMap] = []
    warnings: tuple[str, ...] = ()
    try:
        maps = find_voxel_maps(context, cohorts)
    except UnusableDataError as error:
        warnings = (f"no voxel-wise map: {error}",)
    files = [path for one in maps for path in _write(context, one)]
    for key in OUTPUTS:
        path = template_output(context.study.output_dir, key) if _is_ours(key) else None
        if path is not None and path not in files:
            remove_with_sidecar(path)
    frames = {
        "voxelwise": pd.DataFrame([map_row(one) for one in maps]),
        "voxelclusters": pd.DataFrame([row for one in maps for row in cluster_rows(one)]),
    }
    columns = voxel_columns(context.settings)
    files += write_tables(
        context.study.output_dir, frames, names=TABLES, columns=dict.fromkeys(TABLES, columns)
    )
    return WrittenMaps(tuple(files), tuple(_note(one) for one in maps), warnings)


def map_row(found: VoxelMap) -> dict[str, Any]:
    """The row of group_voxelwise.tsv of an arm."""
    called = found.p < CALLED
    return {
        "arm": found.arm,
        "n_voxels": len(found.d),
        "n_called": int(called.sum()),
        "volume_ml": round(float(called.sum()) * _VOXEL_ML, 3),
        "d_least": float(found.d.min()),
        "d_most": float(found.d.max()),
        "p_least": float(found.p.min()),
        "n_permutations": found.n_permutations,
        "n_cases": found.n_cases,
        "n_controls": found.n_controls,
    }


def cluster_rows(found: VoxelMap) -> list[dict[str, Any]]:
    """Rows of group_voxelclusters.tsv of an arm: voxels that survive and share faces.

    Parameters
    ----------
    found
        What was found at the voxels.

    Returns
    -------
    list of dict
        The largest first; one row a cluster, never of both signs.
    """
    d, p = (_volume(found, values, outside) for values, outside in ((found.d, 0), (found.p, 1)))
    regions, affine = load_brain_regions(GRID_MM), density_grid().affine
    rows: list[dict[str, Any]] = []
    for sign in (1, -1):
        labels, n_clusters = ndimage.label((p < CALLED) & (d * sign > 0))
        for label in range(1, n_clusters + 1):
            own = np.argwhere(labels == label)
            sizes = np.abs(d[tuple(own.T)])
            peak = own[int(sizes.argmax())]
            x, y, z = affine[:3, :3] @ peak + affine[:3, 3]
            rows.append(
                {
                    "arm": found.arm,
                    "n_voxels": len(own),
                    "volume_ml": round(len(own) * _VOXEL_ML, 3),
                    "d": float(d[tuple(peak)]),
                    "p": float(p[tuple(own.T)].min()),
                    "x_mm": float(x),
                    "y_mm": float(y),
                    "z_mm": float(z),
                    "region": regions.names[int(regions.labels[tuple(peak)])],
                }
            )
    rows.sort(key=lambda row: (-row["n_voxels"], row["x_mm"], row["y_mm"], row["z_mm"]))
    return rows


def voxel_columns(settings: Settings) -> dict[str, dict[str, Any]]:
    """Descriptions of the columns of both tables."""
    return {
        "arm": {
            "Description": "how the site was dealt with; combat is left out, for it would have to "
            "be fitted anew in every permutation",
            "Levels": {arm: words for arm, words in ARM_WORDS.items() if arm != "combat"},
        },
        "n_voxels": {
            "Description": f"voxels of {GRID_MM:g} mm: tested ones (in grey matter of the "
            f"template, at least {LEAST_GREY:g} after smoothing, known in everybody), or those of "
            "the cluster"
        },
        "n_called": {"Description": f"voxels with corrected p below {CALLED:g}"},
        "volume_ml": {"Description": "their volume in the template", "Units": "mL"},
        "d_least": {"Description": "least d of all tested voxels; below 0, cases have less"},
        "d_most": {"Description": "largest d of all tested voxels"},
        "p_least": {"Description": "least corrected p of all tested voxels"},
        "d": {
            "Description": "largest adjusted difference of the cluster, cases minus controls, in "
            "residual standard deviations; larger than it would be in other people, for it was "
            "looked for"
        },
        "p": {"Description": "least corrected p of the cluster"},
        "n_permutations": {
            "Description": f"orders of people within their sites that p rests on; {_method()}",
            "Effort": settings.group.effort,
        },
        "n_cases": {"Description": "number of cases; a person counts once"},
        "n_controls": {"Description": "number of controls"},
        **{
            f"{axis}_mm": {"Description": f"{axis} of its largest difference", "Units": "mm"}
            for axis in "xyz"
        },
        "region": {"Description": "coarse region of the template in which that voxel lies"},
    }


def _write(context: StageContext, found: VoxelMap) -> list[Path]:
    output_dir = context.study.output_dir
    common = {
        "Arm": f"{found.arm}: {ARM_WORDS[found.arm]}",
        "AdjustedFor": list(found.adjusted),
        "Cases": found.n_cases,
        "Controls": found.n_controls,
        "Voxels": len(found.d),
        "SmoothingFwhmMm": FWHM_MM,
        "Sources": [bids_uri(group_output(output_dir, "group_features"), output_dir)],
    }
    effect = template_output(output_dir, f"group_effect_{found.arm}")
    write_image(effect, _volume(found, found.d, 0), density_grid().affine)
    write_json(
        sidecar_path(effect),
        {
            "Description": "Adjusted difference of cases and controls (cases minus controls, "
            "residual standard deviations, corrected for small samples) in smoothed density of "
            "grey matter, on the ICBM152 2009a symmetric template; 0 where nothing was tested.",
            "Units": "standard deviations",
            **common,
        },
    )
    p = template_output(output_dir, f"group_effect_p_{found.arm}")
    write_image(p, _volume(found, found.p, 1), density_grid().affine)
    write_json(
        sidecar_path(p),
        {
            "Description": "Two-sided p of these differences, corrected for all voxels; 1 where "
            "nothing was tested.",
            "Method": _method(),
            "Permutations": found.n_permutations,
            "Effort": context.settings.group.effort,
            "Seed": context.settings.run.random_seed,
            **common,
        },
    )
    return [effect, p]


def _method() -> str:
    return (
        "residuals of the covariates are dealt anew within sites (Freedman and Lane 1983), t is "
        f"enhanced by clusters without a threshold (Smith and Nichols 2009; extent {EXTENT:g}, "
        f"height {HEIGHT:g}, steps of {STEP:g}), and p is the share of largest values over all "
        "voxels that are as large"
    )


def _volume(found: VoxelMap, values: np.ndarray, outside: float) -> np.ndarray:
    volume = np.full(found.mask.shape, outside, dtype=np.float32)
    volume[found.mask] = values
    return volume


def _is_ours(key: str) -> bool:
    return key.startswith("group_effect_")


def _note(found: VoxelMap) -> str:
    row = map_row(found)
    return (
        f"{found.arm}: {row['n_called']} of {row['n_voxels']} voxels of grey matter differ at a "
        f"corrected p of {CALLED:g} ({row['volume_ml']:.1f} mL; least p {row['p_least']:.3g}; "
        f"{found.n_permutations} permutations within sites)"
    )
