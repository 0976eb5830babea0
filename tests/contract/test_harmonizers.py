"""What holds for every row of HARMONIZERS."""

from pathlib import Path

import numpy as np
import pytest

from bids_harmonize.errors import DirectionError, UsageError
from bids_harmonize.harmonizers import (
    HARMONIZERS,
    baselines,
    check_harmonizer_settings,
    make_harmonizer,
)
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.storage import load_harmonizer, save_harmonizer
from bids_harmonize.training.patch_distance import PatchDistance
from tests.harmonizers.small_study import VOXEL_MM, cpu_runtime, make_data, make_head, scan_at

WAYS = [("A", None), ("A", "B"), ("B", "A")]


JOINT = {f"{row.name} joint": row.name for row in HARMONIZERS.values() if row.trained}


def fitted(name, folder, sources="pairwise", **settings):
    if HARMONIZERS[name].trained:
        settings = {
            "n_iterations": 40, "check_every": 20, "learning_rate": 2e-3, "identity_weight": 0.5,
            **settings,
        }  # fmt: skip
    harmonizer = make_harmonizer(
        name, reference_site="B", source_sites=("A", "B"), voxel_size_mm=VOXEL_MM,
        settings=settings, sources=sources,
    )  # fmt: skip
    report = harmonizer.fit(
        make_data(), runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False
    )
    assert report.fell_back == ()
    return harmonizer


@pytest.fixture(scope="module", params=[*HARMONIZERS, *JOINT])
def harmonizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param.replace(" ", "-"))
    name = JOINT.get(request.param, request.param)
    return fitted(name, folder, sources="joint" if request.param in JOINT else "pairwise")


@pytest.fixture(params=WAYS, ids=str)
def way(request, harmonizer):
    """A direction that the harmonizer has; joint models do not go back."""
    if harmonizer.frame.serves_unseen and request.param[1] == "A":
        pytest.skip("a joint model goes to the reference alone")
    return request.param


def new_scan(site, person=40):
    """Somebody nobody was fitted on, in rescaled units, with background that is not zero."""
    tissue, head, brain = make_head(person)
    volume = scan_at(tissue, site) / np.percentile(scan_at(tissue, site)[brain], 99)
    outside = np.random.default_rng(1).random(volume.shape).astype(np.float32) * 0.01
    return np.where(head, volume, outside).astype(np.float32), head, brain


def test_outside_the_head_nothing_changes_and_the_input_stays(harmonizer, way):
    site, to_site = way
    volume, head, brain = new_scan(site)
    before = volume.copy()
    changed = harmonizer.transform(
        volume, site=site, to_site=to_site, head_mask=head, brain_mask=brain
    )
    assert np.array_equal(volume, before)
    assert np.array_equal(changed[~head], before[~head])
    assert changed.dtype == np.float32
    assert changed.shape == volume.shape
    assert changed[head].min() >= 0


@pytest.mark.parametrize(("site", "to_site"), [("B", None), ("B", "B"), ("A", "A")])
def test_a_site_to_itself_returns_the_input(harmonizer, site, to_site):
    volume, head, brain = new_scan(site)
    changed = harmonizer.transform(
        volume, site=site, to_site=to_site, head_mask=head, brain_mask=brain
    )
    assert np.array_equal(changed, volume)


@pytest.mark.parametrize(
    ("site", "to_site"),
    [("C", None), ("C", "B"), ("A", "C"), ("C", "A"), ("C", "C")],
)
def test_an_unknown_direction_is_refused_with_the_known_sites(harmonizer, site, to_site):
    volume, head, brain = new_scan("A")
    if harmonizer.frame.serves_unseen and to_site in (None, "B"):
        known = harmonizer.transform(volume, site="A", head_mask=head, brain_mask=brain)
        made = harmonizer.transform(
            volume, site=site, to_site=to_site, head_mask=head, brain_mask=brain
        )
        assert np.array_equal(made, known)  # there is no site code
        return
    words = "joint model.*to no other.*: A" if harmonizer.frame.serves_unseen else "each of: A"
    with pytest.raises(DirectionError, match=f"no way from site {site} .*{words}"):
        harmonizer.transform(volume, site=site, to_site=to_site, head_mask=head, brain_mask=brain)


def test_a_joint_model_does_not_go_back(harmonizer):
    if not harmonizer.frame.serves_unseen:
        return
    volume, head, brain = new_scan("B")
    with pytest.raises(DirectionError, match="site B to site A: this joint model"):
        harmonizer.transform(volume, site="B", to_site="A", head_mask=head, brain_mask=brain)


def test_saved_and_loaded_it_gives_equal_bits(harmonizer, way, tmp_path):
    site, to_site = way
    volume, head, brain = new_scan(site)
    save_harmonizer(harmonizer, tmp_path, provenance={"random_seed": 0})
    loaded = load_harmonizer(tmp_path)
    results = [
        one.transform(volume, site=site, to_site=to_site, head_mask=head, brain_mask=brain)
        for one in (harmonizer, loaded)
    ]
    assert np.array_equal(*results)
    assert loaded.high == harmonizer.high
    assert loaded.frame == harmonizer.frame


def test_an_image_comes_out_in_the_target_sites_units(harmonizer, way):
    site, to_site = way[0], way[1] or "B"
    tissue, head, brain = make_head(41)
    image = harmonize_image(
        harmonizer, scan_at(tissue, site), site=site, to_site=to_site,
        head_mask=head, brain_mask=brain,
    )  # fmt: skip
    wanted = np.percentile(scan_at(tissue, to_site)[brain], 99)
    assert np.percentile(image[brain], 99) == pytest.approx(wanted, rel=0.12)
    assert np.array_equal(image[~head], scan_at(tissue, site)[~head])


def test_the_scale_of_the_input_does_not_matter(harmonizer):
    tissue, head, brain = make_head(42)
    images = [
        harmonize_image(harmonizer, scan_at(tissue, "A") * gain, site="A", head_mask=head,
                        brain_mask=brain)
        for gain in (np.float32(1), np.float32(4))
    ]  # fmt: skip
    assert np.allclose(*images, rtol=1e-4, atol=1e-2)


def test_scans_of_the_reference_site_are_only_scaled(harmonizer):
    tissue, head, brain = make_head(43)
    volume = scan_at(tissue, "B") * np.float32(1.7)
    image = harmonize_image(harmonizer, volume, site="B", head_mask=head, brain_mask=brain)
    ratio = image[head] / volume[head]
    assert ratio.max() / ratio.min() == pytest.approx(1, abs=1e-5)
    assert np.percentile(image[brain], 99) == pytest.approx(harmonizer.high["B"], rel=1e-5)


def test_no_method_moves_away_from_its_target(harmonizer, way):
    site, to_site = way[0], way[1] or "B"
    tissues = [make_head(person) for person in (50, 51, 52)]
    scans = {
        place: [(scan_at(t, place) / np.percentile(scan_at(t, place)[b], 99), h, b)
                for t, h, b in tissues]
        for place in "AB"
    }  # fmt: skip
    distance = PatchDistance([(v, h) for v, h, _ in scans[to_site]], seed=0)
    before = distance.measure((v, h) for v, h, _ in scans[site])
    after = distance.measure(
        (harmonizer.transform(v, site=site, to_site=to_site, head_mask=h, brain_mask=b), h)
        for v, h, b in scans[site]
    )
    if harmonizer.name == "identity":
        assert after == before
    elif HARMONIZERS[harmonizer.name].trained:
        assert after < 0.6 * before
    elif harmonizer.name == "n4":  # it does not know its target
        assert after < 1.3 * before
    else:
        assert after < 0.95 * before


@pytest.mark.parametrize("name", baselines())
def test_what_needs_no_training_cannot_be_joint(name):
    with pytest.raises(UsageError, match=f"--harmonizer {name}, which trains nothing.*cyclegan"):
        make_harmonizer(
            name, reference_site="B", source_sites=("A",), voxel_size_mm=4.0, sources="joint"
        )


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(UsageError, match="Available: identity, nyul"):
        make_harmonizer("combat", reference_site="B", source_sites=("A",), voxel_size_mm=4.0)


@pytest.mark.parametrize("name", list(HARMONIZERS))
def test_unknown_settings_are_refused_and_defaults_are_complete(name):
    with pytest.raises(UsageError, match="nonsense: unknown setting"):
        check_harmonizer_settings(name, {"nonsense": 1})
    complete = check_harmonizer_settings(name, {})
    assert check_harmonizer_settings(name, complete) == complete


def test_all_faults_of_the_settings_are_told_at_once():
    with pytest.raises(UsageError, match="2 setting") as caught:
        check_harmonizer_settings("cyclegan", {"learning_rate": -1, "n_iterations": 0})
    assert "learning_rate" in str(caught.value)
    assert "n_iterations" in str(caught.value)


def test_the_baselines_are_the_rows_without_training():
    assert baselines() == ("identity", "nyul", "histogram", "n4", "n4_histogram")


def test_the_table_is_listed_without_importing_torch():
    import subprocess
    import sys

    code = "import sys, bids_harmonize.harmonizers; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0
