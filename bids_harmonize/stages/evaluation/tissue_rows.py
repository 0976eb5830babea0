"""What the stage ``features`` measured, for those who judge a harmonizer by it."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from bids_harmonize.bids.judged import JUDGED_PREFIX
from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.harmonization.fitted import delivered_sha256
from bids_harmonize.tables.own import HARMONIZED, OWN_COLUMNS, PARCEL_PREFIX, RAW

TISSUES: Final = ("gm_volume_ml", "wm_volume_ml", "csf_volume_ml")
"""Features that answer for all of them in the verdict."""


_NOT_RUN = "the stage features has not run, so no tissue was measured"


@dataclass(frozen=True, eq=False)
class TissueRows:
    """Tissue of scans, one row a scan and method.

    Attributes
    ----------
    frame
        filename, participant_id, site, method (``identity``, the harmonizer, other tools that
        were measured) and features, float64; sorted by filename. All methods hold the same
        scans. ``None`` where nothing can be judged.
    features
        Names of the feature columns.
    why_none
        The reason; empty with a frame.
    """

    frame: pd.DataFrame | None
    features: tuple[str, ...] = ()
    why_none: str = ""

    def holds(self, method: str) -> bool:
        """Whether tissue of this method's images was measured."""
        return self.frame is not None and method in set(self.frame["method"])


def read_tissue(context: StageContext) -> TissueRows:
    """Rows of ``group_features.tsv``, if they are of the harmonizer that stands in ``models/``.

    Parameters
    ----------
    context
        The study and the chosen harmonizer.

    Returns
    -------
    TissueRows
        Scans that have all arms.
    """
    path = group_output(context.study.output_dir, "group_features")
    if not path.is_file() or not path.with_suffix(".json").is_file():
        return TissueRows(None, why_none=_NOT_RUN)
    described = read_json(path.with_suffix(".json"))
    if described.get("arm", {}).get("ModelSha256") != delivered_sha256(context):
        reason = f"{path.name} is of another model; run the stage features again"
        return TissueRows(None, why_none=reason)
    table = read_tsv(path)
    features = tuple(
        name
        for name in table.columns
        if name not in OWN_COLUMNS and not name.startswith(PARCEL_PREFIX)
    )
    methods = {RAW: IDENTITY, HARMONIZED: context.settings.group.harmonizer}
    tools = [f"{JUDGED_PREFIX}{name}" for name in context.settings.group.judge]
    methods |= {tool: tool for tool in tools if tool in set(table["arm"])}
    table = table[table["arm"].isin(methods)]
    frame = table[["filename", "participant_id", "site"]].assign(
        method=table["arm"].map(methods), **table[list(features)].astype(float)
    )
    both = frame.groupby("filename")["method"].transform("nunique") == len(methods)
    if not both.any():
        reason = f"{path.name} has no scan with a raw and a harmonized row"
        return TissueRows(None, why_none=reason)
    frame = frame[both].sort_values(["filename", "method"], ignore_index=True)
    return TissueRows(frame, features)
