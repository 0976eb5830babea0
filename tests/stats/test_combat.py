"""ComBat: against another program's numbers, on planted effects, and on what cannot be fitted.

The golden numbers are those of neuroCombat 0.2.12 (empirical Bayes, parametric, no reference), age
and sex as covariates. It stops its rounds at changes below 1e-4, ours at 1e-10, which leaves
differences of up to 1e-5 standard deviations.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stats import fit_combat

ABIDE = Path(__file__).parents[3] / "shared" / "data" / "tables" / "abide1_freesurfer6.tsv"
needs_abide = pytest.mark.skipif(not ABIDE.is_file(), reason="the shared tables are not here")

KYOTO, LEEDS, NARA = np.arange(10), np.arange(10, 24), np.arange(24, 42)


def three_sites():
    """Five features of 42 people at three sites that differ in shift and spread."""
    rng = np.random.default_rng(20)
    place = np.repeat([0, 1, 2], [10, 14, 18])
    sites = list(np.array(["Kyoto", "Leeds", "Nara"])[place])
    age, male = np.round(20 + 40 * rng.random(42)), np.arange(42) % 2
    design = np.column_stack([age, male]).astype(np.float64)
    middle = np.array([2.5, 3.1, 4200.0, 1.9, 600.0])
    spread = np.array([0.2, 0.1, 300.0, 0.3, 25.0])
    noise = rng.random((42, 5)) + rng.random((42, 5)) - 1.0
    noise = noise * np.array([0.7, 1.0, 1.6])[place, None]
    noise += np.array([1.0, 0.0, -0.6])[place, None]
    return middle + spread * (noise - 0.01 * design[:, :1] + 0.2 * design[:, 1:]), sites, design


def harmonize(features, sites, design):
    return fit_combat(features, sites, design).transform(features, sites, design)


def read_abide():
    """Features (thickness, then volumes), sites, design, who is a control, number of thickness."""
    frame = pd.read_csv(ABIDE, sep="\t", na_values="n/a")
    features = frame.drop(columns=["participant_id", "site", "age", "sex", "diagnosis"])
    design = np.column_stack([frame["age"], frame["sex"] == "M"]).astype(np.float64)
    controls = (frame["diagnosis"] == "HC").to_numpy()
    return features, frame["site"].to_numpy(dtype=object), design, controls


def site_share(features, sites, design):
    """Share of the variance beyond the covariates that the site explains (partial R2)."""

    def left(columns):
        fit = np.linalg.lstsq(columns, features, rcond=None)[0]
        return ((features - columns @ fit) ** 2).sum(axis=0)

    of_sites = (sites[:, None] == np.unique(sites)).astype(np.float64)
    without = left(np.column_stack([np.ones(len(features)), design]))
    return 1 - left(np.column_stack([of_sites, design])) / without


def test_every_number_is_that_of_the_published_program():
    features, sites, design = three_sites()
    combat = fit_combat(features, sites, design)
    golden = [
        [2.5512162744, 3.0531794025, 3939.6550274954, 1.7158452741, 587.6977320862],
        [2.4878169867, 3.0154925885, 4188.5806691734, 1.9124081279, 597.9632970361],
        [2.380318672, 3.0644452826, 4327.5947935293, 2.0424598523, 583.4216919848],
        [2.4565637997, 3.1151377232, 4217.5969800769, 2.1370102564, 603.9204823263],
        [2.5698222711, 3.0784692371, 4140.7678567489, 1.9717916367, 566.0337006931],
        [2.4503461189, 3.1262077033, 4141.6685165859, 2.0927933293, 584.5031567733],
    ]
    found = combat.transform(features, sites, design)[[0, 9, 10, 23, 24, 41]]
    away = (found - golden) / np.sqrt(combat.variance)
    assert away == pytest.approx(np.zeros((6, 5)), abs=1e-5)
    gamma = [
        [2.5488110662, 2.2552437337, 2.3645009798, 1.91021178, 2.0957528504],
        [-0.2252081321, -0.0897233029, 0.0223372001, -0.2696781277, -0.0677211269],
        [-1.1819780092, -1.181500142, -1.3152458524, -0.9075373854, -1.1410602901],
    ]
    delta = [
        [0.3663855526, 0.3537794519, 0.3336445163, 0.3255044942, 0.3050807284],
        [0.9423084302, 0.9678975249, 0.9873337467, 0.96642487, 0.9401271118],
        [1.5452939734, 1.5376292761, 1.5364062145, 1.5459239812, 1.5525320653],
    ]
    assert combat.gamma == pytest.approx(np.array(gamma), abs=1e-5)
    assert combat.delta == pytest.approx(np.array(delta), abs=1e-5)
    variance = [0.0058995132, 0.0018557109, 16915.2305234519, 0.0214391125, 143.8286663733]
    grand_mean = [2.4293198882, 3.0965765045, 4283.7309033124, 1.9189509574, 602.1176183316]
    assert combat.variance == pytest.approx(variance, rel=1e-6)
    assert combat.grand_mean == pytest.approx(grand_mean, rel=1e-6)
    assert combat.sites == ("Kyoto", "Leeds", "Nara")
    assert combat.n_people.tolist() == [10, 14, 18]


@needs_abide
def test_real_tables_come_out_as_from_the_published_program():
    frame, sites, design, _ = read_abide()
    features = frame.to_numpy()
    combat = fit_combat(features, sites, design)
    names = ["lh_insula_thickness", "rh_precuneus_thickness", "Left-Hippocampus"]
    cells = np.ix_(
        [combat.sites.index(site) for site in ("CMU", "NYU", "YALE")],
        frame.columns.get_indexer(names),
    )
    gamma = [
        [0.6119113932, -0.2860256841, 0.6473029297],
        [-0.2789442259, 0.4571176265, -0.4198641053],
        [-1.4507267023, -1.3495970119, -0.0000539253],
    ]
    delta = [
        [0.4273029573, 0.6369229882, 0.7059000714],
        [0.6878393637, 1.0183195716, 0.7875457128],
        [1.3397138752, 1.2395820053, 0.9289463346],
    ]
    assert combat.gamma[cells] == pytest.approx(np.array(gamma), abs=1e-5)
    assert combat.delta[cells] == pytest.approx(np.array(delta), abs=1e-5)
    moved = (combat.transform(features, sites, design) - features) / np.sqrt(combat.variance)
    waves = [np.cos(np.arange(moved.size) * speed) for speed in (0.5, 1.0, 1.7)]
    sums = [float(moved.ravel() @ wave / np.sqrt(moved.size)) for wave in waves]
    assert sums == pytest.approx([-0.0689705863, -0.0917259820, -0.0102747602], abs=1e-5)
    moments = [float((moved**2).mean()), float((moved**4).mean())]
    assert moments == pytest.approx([0.5292971175, 1.2834167323], abs=1e-5)


@needs_abide
@pytest.mark.parametrize(("only_thickness", "raw"), [(True, 0.356), (False, 0.305)])
def test_combat_of_controls_takes_the_site_out_of_everybody(only_thickness, raw):
    frame, sites, design, controls = read_abide()
    kept = (
        frame.filter(like="thickness") if only_thickness else frame.drop(columns="IntraCranialVol")
    )
    features = kept.to_numpy()
    combat = fit_combat(features[controls], sites[controls], design[controls])
    harmonized = combat.transform(features, sites, design)
    assert np.median(site_share(features, sites, design)) == pytest.approx(raw, abs=0.002)
    assert np.median(site_share(harmonized, sites, design)) == pytest.approx(0.024, abs=0.002)


def test_one_person_comes_out_as_in_the_table_and_order_does_not_matter():
    features, sites, design = three_sites()
    combat = fit_combat(features, sites, design)
    whole = combat.transform(features, sites, design)
    alone = [combat.transform(features[[i]], [sites[i]], design[[i]])[0] for i in range(42)]
    assert np.array_equal(whole, alone)
    order = np.random.default_rng(0).permutation(42)
    shuffled = features[order], [sites[i] for i in order], design[order]
    again = fit_combat(*shuffled)
    assert again.sites == combat.sites
    assert again.gamma == pytest.approx(combat.gamma, abs=1e-8)
    assert again.transform(*shuffled) == pytest.approx(whole[order], rel=1e-9)
    assert combat.transform(features[:0], [], design[:0]).shape == (0, 5)


def test_units_and_the_origin_of_a_covariate_do_not_matter():
    features, sites, design = three_sites()
    whole = harmonize(features, sites, design)
    assert harmonize(features * 1000, sites, design) == pytest.approx(whole * 1000, rel=1e-9)
    assert harmonize(features, sites, design * 12 + 7) == pytest.approx(whole, rel=1e-9)


def test_nothing_that_is_given_is_changed():
    features, sites, design = three_sites()
    copies = features.copy(), design.copy()
    harmonize(features, sites, design)
    assert np.array_equal(features, copies[0])
    assert np.array_equal(design, copies[1])


def confounded(*, effect, seed=1, n=400, n_features=60):
    """Two sites, a disorder that is three times as frequent at the second one."""
    rng = np.random.default_rng(seed)
    place = np.repeat([0, 1], n // 2)
    patient = rng.random(n) < np.array([0.2, 0.6])[place]
    age = rng.uniform(20, 60, n)
    features = rng.normal(size=(n, n_features)) - effect * patient[:, None]
    features *= np.array([1.0, 1.5])[place, None]
    features += 1.0 * place[:, None] - 0.03 * age[:, None]
    return features, list(np.array(["A", "B"])[place]), age[:, None], patient


@pytest.mark.parametrize("effect", [0.0, 0.8])
def test_the_fit_on_controls_keeps_the_disorder_and_takes_the_site_out(effect):
    features, sites, age, patient = confounded(effect=effect)
    own = [site for site, is_patient in zip(sites, patient, strict=True) if not is_patient]
    combat = fit_combat(features[~patient], own, age[~patient])
    harmonized = combat.transform(features, sites, age)
    columns = np.column_stack([np.ones(400), np.array(sites) == "B", age, patient])
    left = np.linalg.lstsq(columns, harmonized, rcond=None)[0].mean(axis=1)
    assert left[1] == pytest.approx(0.0, abs=0.05)
    assert left[2] == pytest.approx(-0.03, abs=0.002)
    assert left[3] / np.sqrt(combat.variance).mean() == pytest.approx(-effect, abs=0.06)
    spreads = [harmonized[np.array(sites) == site].std(axis=0).mean() for site in "AB"]
    assert spreads[0] / spreads[1] == pytest.approx(1.0, abs=0.06)


def test_a_site_of_one_person_is_shifted_with_shrinkage_but_not_rescaled():
    features, sites, design = three_sites()
    kept = [*KYOTO, *LEEDS, NARA[0]]
    sites = [sites[i] for i in kept]
    combat = fit_combat(features[kept], sites, design[kept])
    spread = np.sqrt(combat.variance)
    expected = combat.grand_mean + design[kept] @ combat.coefficients
    shift = ((features[kept] - expected) / spread)[-1]
    between = shift.var(ddof=1)
    shrunken = (between * shift + shift.mean()) / (between + 1)
    assert combat.gamma[2] == pytest.approx(shrunken, abs=1e-9)
    assert combat.delta[2].tolist() == [1.0] * 5
    harmonized = combat.transform(features[kept], sites, design[kept])
    assert harmonized[-1] == pytest.approx(features[NARA[0]] - shrunken * spread, rel=1e-9)


def test_a_feature_that_is_constant_at_a_site_is_treated_as_in_the_published_program():
    features, sites, _ = three_sites()
    features[KYOTO, 1] = 3.0
    combat = fit_combat(features, sites, np.empty((42, 0)))
    delta = [0.4329339816, 0.2088786028, 0.4167719397, 0.3618045747, 0.3604801942]
    assert combat.delta[0] == pytest.approx(delta, abs=1e-5)
    harmonized = combat.transform(features, sites, np.empty((42, 0)))
    assert harmonized[KYOTO, 1] == pytest.approx(np.full(10, 3.0313805582), abs=1e-5)
    assert np.isfinite(harmonized).all()


def test_a_site_of_two_equal_people_gives_numbers():
    features, sites, _ = three_sites()
    kept = [KYOTO[0], KYOTO[0], *LEEDS, *NARA]
    sites = [sites[i] for i in kept]
    combat = fit_combat(features[kept], sites, np.empty((34, 0)))
    assert combat.delta[0] == pytest.approx(np.ones(5), abs=1e-6)
    assert np.isfinite(combat.transform(features[kept], sites, np.empty((34, 0)))).all()


def test_an_unseen_site_is_named_beside_the_fitted_ones():
    features, sites, design = three_sites()
    combat = fit_combat(features, sites, design)
    with pytest.raises(
        ValueError, match=r"not fitted on Oslo, Perth, fitted on: Kyoto, Leeds, Nar"
    ):
        combat.transform(features[:3], ["Perth", "Kyoto", "Oslo"], design[:3])


def test_a_covariate_that_is_the_site_cannot_be_kept():
    features, sites, design = three_sites()
    of_site = np.array([[float(site == "Nara")] for site in sites])
    with pytest.raises(
        ValueError, match=r"covariates 2 \(columns.*same for everybody within each"
    ):
        fit_combat(features, sites, np.hstack([design, of_site]))


def test_a_covariate_that_follows_from_the_others_within_sites_is_refused():
    features, sites, design = three_sites()
    of_site = np.array([[float(site == "Nara")] for site in sites])
    born = 2020.0 - design[:, :1] - 5 * of_site  # age at a site's year of scanning
    with pytest.raises(ValueError, match="covariates within sites: 3 columns, but only 2 indepen"):
        fit_combat(features, sites, np.hstack([design, born]))


@pytest.mark.parametrize(("value", "n"), [(np.nan, 1), (np.inf, 2)])
def test_values_that_are_not_finite_are_counted_and_the_first_is_named(value, n):
    features, sites, design = three_sites()
    combat = fit_combat(features, sites, design)
    gaps, odd = features.copy(), design.copy()
    gaps[4, 3] = gaps[30 if n == 2 else 4, 3] = value
    odd[7, 1] = value
    said = rf"{n} values of the features are not finite, the first in row 4, column 3 "
    for do in (fit_combat, combat.transform):
        with pytest.raises(ValueError, match=said):
            do(gaps, sites, design)
        with pytest.raises(ValueError, match=r"1 values of the covariates.*row 7, column 1 "):
            do(features, sites, odd)


def test_features_that_do_not_vary_within_sites_are_named():
    features, sites, design = three_sites()
    features[:, 1] = 3.1
    features[:, 4] = [len(site) for site in sites]
    with pytest.raises(ValueError, match=r"features 1, 4 \(columns, from 0\) do not vary within"):
        fit_combat(features, sites, design)


def test_tables_that_do_not_fit_are_refused():
    features, sites, design = three_sites()
    combat = fit_combat(features, sites, design)
    with pytest.raises(ValueError, match="2 sites and 2 features at least, found 1 and 5"):
        fit_combat(features, ["Kyoto"] * 42, design)
    with pytest.raises(ValueError, match="2 sites and 2 features at least, found 3 and 1"):
        fit_combat(features[:, :1], sites, design)
    with pytest.raises(ValueError, match="found 42, 41 and 42"):
        fit_combat(features, sites[1:], design)
    with pytest.raises(ValueError, match=r"features must have one row a person.*found \(42,\)"):
        fit_combat(features[:, 0], sites, design)
    with pytest.raises(ValueError, match=r"found 5 features and 1 covariates.*fitted on 5 and 2"):
        combat.transform(features, sites, design[:, :1])
