"""Toy studies and a network without training, for the controls of the site classifier."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from bids_harmonize.config import make_settings
from bids_harmonize.stages.classification.models import ClassifierTraining
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.splits import make_folds
from bids_harmonize.training.views import TransformedVolumes
from tests.training.toys import SITES, ToyVolumes, cpu_runtime

SHAPE = (12, 14, 12)


def make_training(
    tmp_path, *, n_per_site=10, n_sites=2, classifier=None, effort="full", source=None
) -> ClassifierTraining:
    """Two folds of toys, or of the source that is given."""
    source = source or ToyVolumes(n_per_site=n_per_site, n_sites=n_sites, shape=SHAPE)
    site_of = {scan.participant_id: scan.site for scan in source.scans}
    values = {"group": {"effort": effort}, "classifier": classifier or {}}
    return ClassifierTraining(
        source=source,
        folds=make_folds(site_of, n_folds=2, seed=0),
        sites=SITES[:n_sites],
        settings=make_settings(values, source="test"),
        runtime=cpu_runtime(),
        folder=tmp_path,
        fingerprint="toys",
    )


def stand_in(source) -> Classifier:
    """A network that names the second site where the whole volume is bright enough."""

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(1, 2)
            weights = {"weight": torch.tensor([[0.0], [1.0]]), "bias": torch.tensor([0.0, -6.0])}
            self.head.load_state_dict(weights)

        def embed(self, volumes):
            return volumes.flatten(1).sum(dim=1, keepdim=True)  # (B, 1)

        def forward(self, volumes):
            return self.head(self.embed(volumes))

    return Classifier(
        network=Sum(),
        sites=SITES[:2],
        shape=source.shape,
        voxel_size_mm=source.voxel_size_mm,
        device=torch.device("cpu"),
    )


def study_of(people: pd.DataFrame, output_dir=None):
    """What the controls ask of a study."""
    return SimpleNamespace(participants=people, output_dir=output_dir, scaling_mask="brain")


def bright_source():
    """Flat heads: the second site is brighter inside, the same everywhere in the head."""
    toys = ToyVolumes(n_per_site=4, n_sites=2, shape=SHAPE)

    def flat(index, _):
        level = 0.02 if toys.scans[index].site == SITES[1] else 0.0
        return (toys.head_mask(index) * level).astype(np.float32)

    return TransformedVolumes(toys, flat)
