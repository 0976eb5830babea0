"""Which measure of the parcels tells people's age: volume, volume over the brain's, or density?

``python -m tests.benchmarks.bench_parcel_age OUT PARTICIPANTS [--site NAME]`` reads the tissue
maps of a derivative (the participant level is enough) and the ages in a participants.tsv, and
predicts age from the 300 parcels by ridge regression, five folds, dealt twenty times. Beside it
stands how single parcels go with age.

Found (3 mm; 31 heads of one site of IXI, and with 8 of another data set): r of told and true age
by volume .69 and .75, by volume over the brain's .75 and .82, by density .84 and .86; median r of
a parcel -.29 and -.25, -.24 and -.36, -.31 and -.50; spread between people over the mean .17, .12
and .08. So densities are what ``disorder`` and ``subtypes`` take.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.imaging.tissue import mask_points
from bids_harmonize.stages.tissue.parcels import measure_parcels
from bids_harmonize.stages.tissue.transforms import read_template_points
from tests.benchmarks.planted_study import say

STRENGTHS = np.logspace(0, 5, 11)
N_FOLDS, N_DEALS = 5, 20


def measure(folder: Path) -> dict[str, float]:
    """Parcels of one scan from the maps in ``sub-<label>/anat``; ``brain_ml`` beside them."""
    stem = folder.parent.name
    brain, affine = read_mask(folder / f"{stem}_desc-brain_mask.nii.gz")
    grey, white, fluid = (
        read_image(folder / f"{stem}_label-{tissue}_probseg.nii.gz")[0]
        for tissue in ("GM", "WM", "CSF")
    )
    (transform,) = folder.glob("*_from-preproc_to-*_xfm.h5")
    points = read_template_points(transform, mask_points(brain, affine))
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1e3
    parcels = measure_parcels(grey[brain], points, voxel_ml=voxel_ml, atlas=None)
    return {**parcels, "brain_ml": float((grey + white + fluid).sum()) * voxel_ml}


def told_age(values: np.ndarray, age: np.ndarray) -> list[float]:
    """Correlation of predicted and true age, one number a deal of the folds."""
    model = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    found = []
    for seed in range(N_DEALS):
        folds = KFold(N_FOLDS, shuffle=True, random_state=seed)
        told = cross_val_predict(model, values, age, cv=folds)
        found.append(float(np.corrcoef(told, age)[0, 1]))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("participants", type=Path)
    parser.add_argument("--site")
    words = parser.parse_args(arguments)
    people = pd.read_csv(words.participants, sep="\t", na_values="n/a").set_index("participant_id")
    people = people[people["age"].notna()]
    if words.site is not None:
        people = people[people["site"] == words.site]
    folders = [words.output_dir / person / "anat" for person in people.index]
    table = pd.DataFrame(map(measure, folders), index=people.index)
    volumes = table.filter(regex="^parcel_.*_volume_ml$").to_numpy()
    measures = {
        "volume": volumes,
        "volume over the brain's": volumes / table[["brain_ml"]].to_numpy(),
        "density": table.filter(regex="^parcel_.*_density$").dropna(axis=1).to_numpy(),
    }
    age = people["age"].to_numpy(float)
    for name, values in measures.items():
        told = told_age(values, age)
        alone = [np.corrcoef(column, age)[0, 1] for column in values.T]
        spread = np.median(values.std(axis=0) / values.mean(axis=0))
        say(
            f"{name}: {len(age)} people, {values.shape[1]} parcels; told and true age r "
            f"{np.mean(told):.2f} (sd {np.std(told):.2f} over deals); a parcel's median r "
            f"{np.median(alone):.2f}; spread over mean {spread:.2f}"
        )


if __name__ == "__main__":
    main()
