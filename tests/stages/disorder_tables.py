"""A table of cases and controls whose site effect and disorder effect are known."""

import numpy as np
import pandas as pd

SITES = ("Kyoto", "Leeds", "Nara")
FEATURES = tuple(f"lh_r{i}_thickness" for i in range(12))
MOVED = FEATURES[:3]


def make_cases(*, n_per_site=60, d=0.8, site_effect=2.0, shares=(0.5, 0.5, 0.5), seed=0):
    """Three sites; cases have ``d`` less of the first three features, in residual deviations.

    Age and sex act on all features; a site shifts and stretches them; ``shares`` is the share of
    cases at each site.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for place, (site, share) in enumerate(zip(SITES, shares, strict=True)):
        case = np.arange(n_per_site) < round(share * n_per_site)
        age, sex = rng.uniform(18, 60, n_per_site), rng.integers(0, 2, n_per_site)
        values = rng.normal(size=(n_per_site, len(FEATURES)))
        values[:, :3] -= d * case[:, None]
        values += 0.03 * age[:, None] + 0.3 * sex[:, None]
        shift = rng.normal(size=len(FEATURES)) * site_effect
        values = shift + values * (1 + 0.3 * place)
        frame = pd.DataFrame(values, columns=list(FEATURES))
        frame.insert(0, "participant_id", [f"sub-{site}{i:02d}" for i in range(n_per_site)])
        frame.insert(1, "site", site)
        frame.insert(2, "age", age)
        frame.insert(3, "sex", np.where(sex == 1, "M", "F"))
        frame.insert(4, "diagnosis", np.where(case, "SZ", "HC"))
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)
