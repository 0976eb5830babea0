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


def make_subtypes(*, n_per_site=80, d=2.5, shares=(0.8, 0.2, 0.5), seed=0):
    """As :func:`make_cases`, with two kinds of cases: one has less of the first four features,
    the other of the last four; ``shares`` is that of the first kind among the cases of a site.

    ``kind`` is the truth; ``score`` is a symptom score that is higher in the first kind.
    """
    frame = make_cases(n_per_site=n_per_site, d=0.0, seed=seed)
    rng = np.random.default_rng([seed, 1])
    case = (frame["diagnosis"] == "SZ").to_numpy()
    place = frame["site"].map(SITES.index).to_numpy()
    first = case & (rng.random(len(frame)) < np.array(shares)[place])
    stretch = 1 + 0.3 * place
    for kind, names in ((first, FEATURES[:4]), (case & ~first, FEATURES[-4:])):
        frame.loc[kind, list(names)] -= d * stretch[kind, None]
    frame["kind"] = np.where(first, 1, np.where(case, 2, 0))
    frame["score"] = np.where(case, 20 + 6 * first + rng.normal(0, 3, len(frame)), np.nan)
    return frame
