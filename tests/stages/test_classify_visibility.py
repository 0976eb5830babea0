"""What only a block of the head tells: which blocks, whose, and differences by pairs."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.classification.models import FoldModel
from bids_harmonize.stages.classification.visibility import (
    head_block,
    visibility_rows,
    visible_shares,
)
from tests.stages.control_toys import SHAPE, bright_source, stand_in
from tests.training.toys import SITES, ToyVolumes


@pytest.mark.parametrize("fraction", [0.5, 0.25, 0.125])
def test_a_block_has_its_fraction_of_the_heads_box_and_lies_inside(fraction):
    head = np.zeros((40, 48, 40), dtype=bool)
    head[5:37, 4:44, 8:32] = True
    rng = np.random.default_rng(0)
    for _ in range(50):
        block = head_block(rng, head, fraction)
        inside = np.zeros_like(head)
        inside[block] = True
        assert not (inside & ~head).any()
        assert inside.sum() / head.sum() == pytest.approx(fraction, rel=0.06)


def test_less_visible_is_less_often_right_and_every_network_sees_the_same_blocks():
    source = bright_source()
    people = frozenset(scan.participant_id for scan in source.scans)
    folds = [FoldModel(stand_in(source), people)]
    shares = visible_shares(source, folds, seed=0)
    second = shares[shares["site"] == SITES[1]].groupby("visible_fraction")["right"].mean()
    # About 600 voxels of .02 sum to 12, and the network asks for 6: a quarter has too few.
    assert second.loc[1.0] == 1.0
    assert second.loc[0.125] == 0.0
    assert (shares[shares["site"] == SITES[0]]["right"] == 1.0).all()
    pd.testing.assert_frame_equal(shares, visible_shares(source, folds, seed=0))


def test_differences_are_paired_by_participant():
    people = [f"sub-{number}" for number in range(20)]
    frame = {
        "participant_id": people * 4,
        "site": "A",
        "visible_fraction": np.repeat([1.0, 0.5, 0.25, 0.125], 20),
    }
    # Everybody gains exactly a quarter: unpaired the spread between people would hide it.
    base = np.tile(np.repeat([0.0, 0.25, 0.5, 0.75], 5), 4)
    shares = {
        "network": pd.DataFrame({**frame, "right": base + 0.25}),
        "withoutblocks": pd.DataFrame({**frame, "right": base}),
    }
    rows = pd.DataFrame(visibility_rows(shares, effort="full"))
    own = rows[rows["model"] == "network"]
    assert own["accuracy"].tolist() == pytest.approx([0.625] * 4)
    assert own["difference"].tolist() == pytest.approx([0.25] * 4)
    # Tango's interval of 5 gained and none lost in 20, which has a width though all gain alike.
    assert own["difference_low"].tolist() == pytest.approx([0.04859] * 4, abs=1e-5)
    assert own["difference_high"].tolist() == pytest.approx([0.46870] * 4, abs=1e-5)
    assert rows[rows["model"] == "withoutblocks"]["difference"].isna().all()
    # Wilson's interval of 12.5 in 20.
    assert own["accuracy_low"].iloc[0] == pytest.approx(0.40949, abs=1e-5)
    alone = visibility_rows({"network": shares["network"]}, effort="full")
    assert np.isnan([row["difference"] for row in alone]).all()


class SameHeads(ToyVolumes):
    """Everybody has the first toy's head, bright on the right half alone."""

    def head_mask(self, index):
        return self.heads[0].head_mask

    def volume(self, index):
        right = np.indices(SHAPE)[0] >= SHAPE[0] // 2
        return (self.head_mask(index) & right).astype(np.float32)


def test_every_scan_has_blocks_of_its_own_and_four_of_each_size():
    source = SameHeads(n_per_site=12, n_sites=2, shape=SHAPE)
    folds = [FoldModel(stand_in(source), frozenset(scan.participant_id for scan in source.scans))]
    shares = visible_shares(source, folds, seed=0)
    eighth = shares[shares["visible_fraction"] == 0.125]
    second = eighth[eighth["site"] == SITES[1]]["right"]
    # Right where the block shows more than six bright voxels: that depends on its place alone.
    assert set(second) <= {0, 0.25, 0.5, 0.75, 1}
    assert second.nunique() > 2
    other = visible_shares(source, folds, seed=1)
    assert not other["right"].equals(shares["right"])


def test_every_person_is_asked_of_the_network_that_has_not_seen_them():
    source = bright_source()
    people = sorted({scan.participant_id for scan in source.scans})
    first, second = frozenset(people[::2]), frozenset(people[1::2])
    able, odd = stand_in(source), stand_in(source)
    odd.network.head.weight.data *= -1  # names the first site, whatever it sees
    shares = visible_shares(source, [FoldModel(able, first), FoldModel(odd, second)], seed=0)
    whole = shares[shares["visible_fraction"] == 1].set_index("participant_id")
    assert sorted(whole.index) == people
    assert (whole.loc[sorted(first), "right"] == 1).all()
    wrong = whole.loc[sorted(second)]
    assert (wrong["right"] == (wrong["site"] == SITES[0])).all()
    assert len(shares) == 4 * len(people)
