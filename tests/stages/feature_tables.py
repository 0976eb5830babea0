"""Small tables of features with a known site effect."""

from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.config import make_settings
from bids_harmonize.stages import FeatureContext
from bids_harmonize.stages.feature_table.study import feature_sources, load_feature_study

SITES = ("Kyoto", "Leeds", "Nara")


def make_table(*, n_per_site=12, effect=2.0, seed=0, n_features=6) -> pd.DataFrame:
    """Three sites whose features are shifted by ``effect`` standard deviations, age and sex."""
    rng = np.random.default_rng(seed)
    rows = []
    for place, site in enumerate(SITES):
        for number in range(n_per_site):
            values = rng.normal(size=n_features)
            values[place] += effect
            features = {f"f{i}_thickness": value for i, value in enumerate(values)}
            age, sex = int(rng.integers(20, 60)), "FM"[number % 2]
            person = f"sub-{site}{number}"
            row = {"participant_id": person, "site": site, "age": age, "sex": sex}
            rows.append({**row, **features})
    return pd.DataFrame(rows)


def write_tsv(path: Path, frame: pd.DataFrame) -> Path:
    """Write the table; missing cells become n/a."""
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def make_feature_settings(path: Path, *, site=None, arms=None, **group):
    """Settings with the table at ``path`` as raw arm."""
    values = {"group": {"features": arms or {"raw": str(path)}, **group}, "site": site or {}}
    return make_settings(values, source="test")


def make_feature_context(output_dir: Path, settings, site_map=None) -> FeatureContext:
    """The stage's context, as the command line makes it."""
    studies = tuple(
        load_feature_study(source, output_dir=output_dir, settings=settings, site_map=site_map)
        for source in feature_sources(settings)
    )
    return FeatureContext(output_dir, studies, settings, "run-1")
