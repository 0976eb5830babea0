"""The model card of the site classifier."""

from pathlib import Path
from typing import Any

from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.study import Study
from bids_harmonize.training.classifier import Classifier

_CARD = """\
# Site classifier

A small 3D network that names the site of a T1w image among: {sites}.

* **Input**: {shape} voxels of {size:g} mm; the preprocessed image divided by its 99th percentile
  in the {mask}, 0 outside the head.
* **Trained on** {n_scans} scans of {n_people} single-site participants (`training.tsv`).
  `splits.tsv` says which fold of the cross-validation has not seen whom. Travelling subjects were
  not trained on.
* **Made for** measuring how visible the site is in this study. It knows these sites alone, and
  says nothing about health.

| model | participants | n | accuracy (95 % interval) | balanced accuracy | chance | effort |
|---|---|---|---|---|---|---|
{rows}

The accuracy is that of the cross-validation; the weights here were trained on everybody. A control
that does as well as the network names a shortcut that the network may have taken too.
"""


def write_card(
    folder: Path, *, study: Study, rows: list[dict[str, Any]], classifier: Classifier
) -> None:
    """Write ``README.md`` beside the model.

    Parameters
    ----------
    folder
        The model's folder.
    study
        Whose participants were trained on.
    rows
        Rows of group_siteclassification.tsv.
    classifier
        The final network.
    """
    lines = [
        f"| {row['model']} | {row['split']} | {row['n']} | {row['accuracy']:.3f} "
        f"({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}) "
        f"| {row['balanced_accuracy']:.3f} | {row['chance']:.3f} | {row['effort']} |"
        for row in rows
    ]
    text = _CARD.format(
        sites=", ".join(classifier.sites),
        shape=" x ".join(map(str, classifier.shape)),
        size=classifier.voxel_size_mm,
        mask=study.scaling_mask,
        n_scans=len(study.training_scans),
        n_people=len({scan.participant_id for scan in study.training_scans}),
        rows="\n".join(lines),
    )
    write_text(folder / "README.md", text)
