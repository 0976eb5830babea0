"""The virtual reference: the median of all sites."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_harmonize.config import MEDIAN_REFERENCE
from bids_harmonize.errors import DirectionError
from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.harmonizers.card_localhistogram import CardLocalHistogram
from bids_harmonize.harmonizers.median_reference import (
    median_high,
    median_histograms,
    median_reference,
)
from bids_harmonize.harmonizers.model_card import make_card
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from bids_harmonize.training.losses import local_histogram_distance
from tests.harmonizers.small_study import VOXEL_MM, cpu_runtime, make_data

SITES = ("A", "B", "C")
SHORT = {"n_iterations": 8, "check_every": 4, "learning_rate": 2e-3}


def cell(*masses):
    """One site's histograms of one cell: intensity bins as given, gradients in the first bin."""
    found = torch.zeros((1, 40))
    for place, mass in masses:
        found[0, place] = mass
    found[0, 24] = found[0, :24].sum()
    return found


def median_of(*sites):
    return median_histograms(torch.stack(sites))[0].numpy()


def virtual_data(sites="ABC", n_per_site=4):
    data = make_data(n_per_site, sites)
    return replace(data, reference_site=MEDIAN_REFERENCE, reference_high=median_high(data, sites))


def the_reference(data, sites=SITES):
    return median_reference(data, sites, scaling_mask="brain", device=torch.device("cpu"))


def test_one_odd_site_of_three_moves_nothing():
    found = median_of(cell((5, 10.0)), cell((6, 10.0)), cell((20, 10.0)))
    assert found[6] == 10.0
    assert found[:24].sum() == 10.0
    assert found[24] == 10.0


def test_of_two_sites_every_quantile_goes_half_way():
    found = median_of(cell((4, 6.0), (10, 4.0)), cell((8, 12.0), (13, 8.0)))
    # masses of 10 and 20 voxels: 15 in the middle, 60 % of them at 6, the others at 11.5
    assert found[[6, 11, 12]] == pytest.approx([9.0, 3.0, 3.0], abs=1e-5)
    assert found[:24].sum() == pytest.approx(15.0, abs=1e-5)


def test_a_cell_counts_where_half_of_the_sites_fill_it():
    empty = torch.zeros((1, 40))
    assert median_of(cell((5, 8.0)), empty)[5] == 4.0
    assert median_of(cell((5, 9.0)), empty, empty).sum() == 0


@pytest.mark.parametrize("n_sites", [2, 3, 4, 5])
def test_no_histogram_lies_nearer_to_all_sites_than_the_median(n_sites):
    sites = torch.rand((n_sites, 6, 40), generator=torch.manual_seed(n_sites)) ** 4
    parts = sites[:, :, :24].sum(dim=2, keepdim=True), sites[:, :, 24:].sum(dim=2, keepdim=True)
    sites = torch.cat([sites[:, :, :24] / parts[0], sites[:, :, 24:] / parts[1]], dim=2)

    def summed(target):
        return sum(float(local_histogram_distance(own, target)) for own in sites)

    least = summed(median_histograms(sites))
    pooled = summed(sites.mean(dim=0))
    assert least <= min(summed(own) for own in sites) + 1e-5
    assert least <= pooled + 1e-5
    if n_sites > 2:  # of two, everything between them is as near
        assert least < 0.999 * pooled


def test_the_unit_of_an_even_number_of_sites_is_the_geometric_mean_of_the_middle_two():
    data = make_data(3, "ABCD")
    highs = sorted(data.median_high(site) for site in "ABCD")
    assert median_high(data, "ABCD") == pytest.approx(np.sqrt(highs[1] * highs[2]), rel=1e-12)
    assert median_high(data, "ABC") == pytest.approx(
        np.median([data.median_high(site) for site in "ABC"]), rel=1e-12
    )


def test_people_of_the_monitor_do_not_shape_the_target():
    data = virtual_data()
    found = the_reference(data).histograms
    without = the_reference(replace(data, monitor=frozenset())).histograms
    assert not torch.equal(found, without)
    kept = [n for n, scan in enumerate(data.network.scans) if scan.participant_id in data.monitor]
    for n in kept:  # whatever they look like
        data.network.native[n] = data.network.native[n] ** 2
    assert torch.equal(the_reference(data).histograms, found)


def test_it_lies_between_the_sites_and_knows_how_far_a_person_lies_from_the_own_site():
    data = virtual_data()
    found = the_reference(data)
    assert found.reference_site == "median"
    assert found.sources == ()
    assert found.n_people == 0
    own = [the_reference(replace(data, reference_site="x"), (site,)) for site in SITES]
    apart = [
        float(local_histogram_distance(one.histograms, other.histograms))
        for one in own for other in own if one is not other
    ]  # fmt: skip
    to_median = [float(local_histogram_distance(one.histograms, found.histograms)) for one in own]
    assert max(to_median) < max(apart)
    assert found.person_distance == pytest.approx(np.mean([o.person_distance for o in own]))
    assert 0 < found.person_distance < min(apart)


@pytest.mark.parametrize("name", ["nyul", "histogram", "n4_histogram"])
def test_matching_goes_to_the_median_of_the_sites_curves(name, tmp_path):
    harmonizer = make_harmonizer(
        name, reference_site=MEDIAN_REFERENCE, source_sites=SITES, voxel_size_mm=VOXEL_MM
    )
    data = virtual_data()
    harmonizer.fit(data, runtime=cpu_runtime(), seed=0, work_dir=tmp_path, resume=False)
    middle = np.median([harmonizer.curves[site] for site in SITES], axis=0)
    assert np.array_equal(harmonizer.curves[MEDIAN_REFERENCE], middle)
    assert harmonizer.high[MEDIAN_REFERENCE] == data.reference_high
    n = data.of_site("A")[0]
    head, brain = data.native.head_mask(n), data.native.brain_mask(n)
    volume = data.native.volume(n)
    made = harmonizer.transform(volume, site="A", head_mask=head, brain_mask=brain)
    if name == "histogram":
        found = np.percentile(made[brain], harmonizer.percentiles)
        assert np.abs(found - middle)[5:-5].max() < 0.02
        assert np.abs(np.percentile(volume[brain], harmonizer.percentiles) - middle).max() > 0.1
    assert np.array_equal(made[~head], volume[~head])


def test_a_trained_one_is_read_back_bit_for_bit_and_goes_one_way(tmp_path):
    frame = Frame(MEDIAN_REFERENCE, SITES, VOXEL_MM, "brain")
    data = virtual_data()
    harmonizer = CardLocalHistogram(frame, SHORT, the_reference(data))
    report = harmonizer.fit(
        data, runtime=cpu_runtime(), seed=0, work_dir=tmp_path / "work", resume=False
    )
    assert {row["source_site"] for row in report.rows} == set(SITES)
    save_harmonizer(harmonizer, tmp_path / "model", provenance={})
    again = load_harmonizer(tmp_path / "model")
    n = data.of_site("C")[0]
    masks = {"head_mask": data.native.head_mask(n), "brain_mask": data.native.brain_mask(n)}
    made = harmonizer.transform(data.native.volume(n), site="C", **masks)
    assert np.array_equal(again.transform(data.native.volume(n), site="C", **masks), made)
    assert not np.array_equal(made, data.native.volume(n))
    with pytest.raises(DirectionError, match="trained on the median of all sites"):
        again.transform(data.native.volume(n), site=MEDIAN_REFERENCE, to_site="A", **masks)
    text = make_card(again, report, n_participants={"A": 4, "B": 4, "C": 4})
    assert "Nobody was scanned at `median`" in text
    assert "from each of A, B, C to median only" in text
    assert "| median |" not in text
    assert "median of the sites' units" in text


def test_another_target_is_another_training():
    frame = Frame(MEDIAN_REFERENCE, SITES, VOXEL_MM, "brain")
    data = virtual_data()
    reference = the_reference(data)
    other = replace(reference, histograms=reference.histograms * 2)
    prints = [
        CardLocalHistogram(frame, SHORT, card)._fingerprint(data, "A", 0)
        for card in (reference, other, reference)
    ]
    assert prints[0] == prints[2] != prints[1]
