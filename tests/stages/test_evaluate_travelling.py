import numpy as np
import pytest

from bids_harmonize.errors import DirectionError
from bids_harmonize.stages.evaluation import pairs as pairs_module
from bids_harmonize.stages.evaluation.pairs import pair_transform, plan_pairs, read_scan_images
from bids_harmonize.stages.evaluation.travelling import (
    Method,
    blur_method,
    score_travelling,
    site_levels,
)
from tests.stages.small_study import tone, write_small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_small_study(tmp_path_factory.mktemp("study"), sites=("A", "B", "C"))


def _undo_tone(images, to_site):
    site = images.scan.site
    power = {"A": 1.0, "B": 0.5, "C": 2.0}[site]
    truth = (np.clip(images.volume, 0, None) / 400.0) ** (1 / power)
    return tone(truth, to_site)


IDENTITY = Method("identity", lambda images, to_site: images.volume)
PERFECT = Method("perfect", _undo_tone)


@pytest.fixture(scope="module")
def scores(study, tmp_path_factory):
    levels = site_levels(study)
    methods = [IDENTITY, PERFECT, blur_method(levels)]
    work_dir = tmp_path_factory.mktemp("work")
    return score_travelling(study, methods, levels=levels, work_dir=work_dir)


def _mean(scores, **where):
    frame = scores.frame
    for key, value in where.items():
        frame = frame[frame[key] == value]
    assert len(frame) > 0
    return frame["value"].mean()


def test_every_kind_of_comparison_is_planned(study):
    pairs = [pair for pair in plan_pairs(study) if pair.moving.participant_id == "sub-T0"]
    found = {(p.kind, p.source_site, p.target_site) for p in pairs if not p.rescan}
    assert found == {
        ("direct", "B", "A"),
        ("direct", "C", "A"),
        ("reverse", "A", "B"),
        ("reverse", "A", "C"),
        ("agreement", "B", "C"),
    }


def test_the_ceiling_compares_two_scans_of_one_person_at_the_target(study):
    rescans = [pair for pair in plan_pairs(study) if pair.rescan]
    assert len(rescans) == 2 * 4
    assert all(p.moving.site == p.fixed.site == p.target_site for p in rescans)
    assert all(p.moving.stem != p.fixed.stem for p in rescans)


def test_a_doubtful_scan_is_replaced_by_the_second_one_and_leaves_no_ceiling(tmp_path):
    study = write_small_study(tmp_path, doubtful=("sub-T0_ses-A_run-1",), n_per_site=1)
    pairs = [pair for pair in plan_pairs(study) if pair.moving.participant_id == "sub-T0"]
    direct = next(pair for pair in pairs if pair.kind == "direct")
    assert direct.fixed.stem == "sub-T0_ses-A_run-2"
    assert not [pair for pair in pairs if pair.rescan and pair.target_site == "A"]


def test_undoing_the_scanner_beats_raw_and_reaches_about_the_ceiling(scores):
    where = {"kind": "direct", "mask": "brain", "metric": "psnr"}
    raw = _mean(scores, method="identity", **where)
    perfect = _mean(scores, method="perfect", **where)
    ceiling = _mean(scores, method="ceiling", **where)
    assert perfect > raw + 3
    assert (raw + ceiling) / 2 < perfect < ceiling + 1


def test_agreement_needs_both_images_harmonized(scores):
    where = {"kind": "agreement", "mask": "brain", "metric": "correlation"}
    assert _mean(scores, method="perfect", **where) > _mean(scores, method="identity", **where)


def test_the_ceiling_stands_in_every_direction(scores):
    frame = scores.frame[(scores.frame["method"] == "ceiling")]
    assert set(zip(frame["kind"], frame["source_site"], frame["target_site"], strict=True)) == {
        ("direct", "B", "A"),
        ("direct", "C", "A"),
        ("reverse", "A", "B"),
        ("reverse", "A", "C"),
    }


def test_sharpness_is_measured_in_the_brain_alone(scores):
    frame = scores.frame[scores.frame["metric"] == "sharpness"]
    assert set(frame["mask"]) == {"brain"}
    assert set(frame["kind"]) == {"direct", "reverse"}


def test_the_blur_control_is_never_sharper_than_the_target(scores):
    frame = scores.frame
    blur = frame[(frame["metric"] == "sharpness") & (frame["method"] == "blur")]["value"]
    raw = frame[(frame["metric"] == "sharpness") & (frame["method"] == "identity")]["value"]
    assert blur.max() < 1.001
    assert raw.max() > 1.01
    assert blur.min() == pytest.approx(raw.min(), abs=1e-6)


def test_an_affine_change_of_the_intensities_scores_as_identity(study, tmp_path):
    def louder(images, to_site):
        return np.where(images.head, 3.0 * images.volume + 70.0, 0.0).astype(np.float32)

    scores = score_travelling(
        study, [IDENTITY, Method("louder", louder)], levels={}, work_dir=tmp_path
    )
    wide = scores.frame.pivot_table(
        index=["participant_id", "source_site", "target_site", "kind", "mask", "metric"],
        columns="method",
        values="value",
    )
    both = wide[["identity", "louder"]].dropna()
    assert len(both) == 2 * 5 * 2 * 4
    np.testing.assert_allclose(both["louder"], both["identity"], rtol=1e-5, atol=1e-5)


def test_a_direction_that_a_method_lacks_gives_no_row_and_no_failure(study, tmp_path):
    def one_way(images, to_site):
        if to_site != "A":
            message = "only to A"
            raise DirectionError(message)
        return images.volume

    scores = score_travelling(study, [Method("oneway", one_way)], levels={}, work_dir=tmp_path)
    own = scores.frame[scores.frame["method"] == "oneway"]
    assert set(own["kind"]) == {"direct", "agreement"}
    assert scores.failures == ()


def test_each_scan_is_transformed_once_a_target(study, tmp_path):
    seen = []

    def remember(images, to_site):
        seen.append((images.scan.stem, to_site))
        return images.volume

    score_travelling(study, [Method("counted", remember)], levels={}, work_dir=tmp_path)
    assert len(seen) == len(set(seen)) == 2 * 4


def test_registration_is_estimated_once_and_kept(study, tmp_path, monkeypatch):
    pair = next(pair for pair in plan_pairs(study) if pair.kind == "direct")
    images = read_scan_images(pair.moving), read_scan_images(pair.fixed)
    first = pair_transform(pair, images, folder=tmp_path)
    monkeypatch.delattr(pairs_module, "register_heads")
    np.testing.assert_array_equal(pair_transform(pair, images, folder=tmp_path), first)


def test_the_reverse_pair_uses_the_inverse_of_the_direct_transform(study, tmp_path):
    direct, reverse = (
        next(pair for pair in plan_pairs(study) if pair.kind == kind)
        for kind in ("direct", "reverse")
    )
    images = {scan.stem: read_scan_images(scan) for scan in (direct.moving, direct.fixed)}
    there, back = (
        pair_transform(p, (images[p.moving.stem], images[p.fixed.stem]), folder=tmp_path)
        for p in (direct, reverse)
    )
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)


def test_a_scan_that_cannot_be_read_is_reported_and_the_others_are_scored(tmp_path):
    study = write_small_study(tmp_path / "study", n_per_site=1)
    broken = study.scan("sub-T0_ses-B_run-1").t1w
    broken.write_bytes(broken.read_bytes()[:200])
    scores = score_travelling(study, [IDENTITY], levels={}, work_dir=tmp_path / "work")
    assert set(scores.frame["participant_id"]) == {"sub-T1"}
    assert len(scores.failures) == 1
    assert "sub-T0" in scores.failures[0]
