"""The table group_features.tsv: its rows, and what every column means."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bids_harmonize.atlases.regions import load_brain_regions
from bids_harmonize.bids.study import Study
from bids_harmonize.stages.tissue.parcels import parcel_features
from bids_harmonize.stages.tissue.plan import DELIVERED
from bids_harmonize.stages.tissue.scan import TissueJob, TissueRow, feature_names, region_feature
from bids_harmonize.tables.own import EVERY_SCAN, HARMONIZED, OWN_COLUMNS, RAW

Columns = dict[str, dict[str, Any]]

_TISSUES = {"csf": "fluid", "gm": "grey matter", "wm": "white matter"}


def features_table(
    study: Study, rows: Sequence[tuple[TissueJob, TissueRow]], *, atlas: str | None
) -> pd.DataFrame:
    """Rows of group_features.tsv.

    Parameters
    ----------
    study
        Names are relative to its root.
    rows
        Jobs with their numbers, in the order of the table.
    atlas
        Label image of the parcels; ``None`` for our own.

    Returns
    -------
    DataFrame
        One row a scan and arm.
    """
    records = [
        {
            "filename": job.scan.t1w.relative_to(study.output_dir).as_posix(),
            "participant_id": job.scan.participant_id,
            "session_id": job.scan.session_id,
            "site": job.scan.site,
            "arm": job.arm,
            "fit": job.fit,
            **row.values,
        }
        for job, row in rows
    ]
    return pd.DataFrame(records, columns=[*OWN_COLUMNS, *feature_names(), *parcel_features(atlas)])


def features_columns(
    study: Study,
    *,
    model: str,
    model_sha256: str,
    sample: str,
    left_out: Mapping[str, str],
    not_harmonized: str,
    sources: Mapping[str, str],
) -> Columns:
    """Descriptions of group_features.tsv, those of the parcels apart.

    Parameters
    ----------
    study
        Its voxel size is stated.
    model
        Folder of the harmonizer.
    model_sha256
        Of its weights; who reads the table knows by it whether the model still stands.
    sample
        Who was drawn; empty where everybody was asked.
    left_out
        Stem of a scan without a row to the reason.
    not_harmonized
        Why people who do not travel have no harmonized row; empty where they have.
    sources
        Where the raw arm's tissue comes from, in words, and arm of another tool to the folder of
        its images.

    Returns
    -------
    dict
        Column to its description.
    """
    size = {"Units": "mL", "VoxelSize": study.voxel_size_mm, "VoxelSizeUnits": "mm"}
    described: Columns = {
        "filename": {
            "Description": "the preprocessed scan, relative to the dataset",
            "LeftOut": dict(left_out),
        },
        "participant_id": {"Description": "the person"},
        "session_id": {"Description": "the session; n/a without sessions"},
        "site": {"Description": "where the scan was made"},
        "arm": {
            "Description": "which image the tissue is of",
            "Levels": {
                RAW: f"the preprocessed scan; {sources[RAW]}",
                HARMONIZED: f"the scan brought to {study.reference_site} by {model}, segmented "
                "anew by the code of the participant level, its way to the template looked for "
                "on that image; the masks are the preprocessed scan's",
                **{
                    arm: f"an image in {folder}, measured likewise; scans of "
                    f"{study.reference_site} that have none as they are"
                    for arm, folder in sources.items()
                    if arm != RAW
                },
            },
            "ModelSha256": model_sha256,
            "Effort": "quick" if sample else "full",
            "Sample": sample or EVERY_SCAN,
            **({"NotHarmonized": not_harmonized} if not_harmonized else {}),
        },
        "fit": {
            "Description": "people on whom the harmonizer of this image was fitted; n/a in the "
            "raw arm and those of other tools",
            "Levels": {
                "half-1": "half 1; the person is in half 2",
                "half-2": "half 2; the person is in half 1",
                DELIVERED: "all eligible people; the person travels, or only scaled the scan, "
                "and is none of them",
            },
        },
    }
    for key, words in _TISSUES.items():
        described[f"{key}_volume_ml"] = {"Description": f"sum of the shares of {words}", **size}
    described["intracranial_volume_ml"] = {
        "Description": "fluid, grey and white matter together",
        **size,
    }
    for region in load_brain_regions().names.values():
        described[region_feature(region)] = {
            "Description": f"grey matter of the coarse region {region}, in the scan's own space; "
            "the regions sum to all grey matter",
            **size,
        }
    return described
