"""The map of what harmonization changed, where the change is planted at a known place."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image, write_image
from bids_harmonize.bids.names import harmonizer_folder, scan_output, site_output
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.stages.evaluation.site_maps import UNITS, write_site_maps
from tests.stages.classify_study import make_context, write_study
from tests.training.toys import SITES

REFERENCE, SOURCE = SITES[:2]
PLACE = (10, 7, 10)  # of the voxel that is changed; (30, -30, 30) mm on the template
ADDED = 0.25


@pytest.fixture
def context(tmp_path):
    """Everybody's harmonized image is the scan with one corner of the brain made brighter."""
    study = write_study(tmp_path / "out", n_per_site=3)
    folder = harmonizer_folder(study.output_dir, "cyclegan", REFERENCE)
    folder.mkdir(parents=True)
    write_json(folder / "model.json", {"sha256": "abc"})
    for scan in study.scans:
        harmonize(study, scan)
    return make_context(study, tmp_path / "work")


def harmonize(study, scan, *, sha256="abc"):
    volume, affine = read_image(scan.t1w)
    brain = read_image(scan.brain_mask)[0] > 0
    low, high = np.percentile(volume[brain], (1, 99))
    i, j, k = PLACE
    changed = 7 * volume  # a gain is no effect
    changed[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2] += 7 * ADDED * (high - low)
    path = scan_output(study.output_dir, scan, "harmonized", reference=REFERENCE)
    write_image(path, changed, affine)
    write_json(sidecar_path(path), {"HarmonizationModelSha256": sha256})


def effect_of(study, site=SOURCE):
    return site_output(study.output_dir, site, "site_effect")


def test_the_map_is_strongest_where_the_change_was_and_says_how_much(context):
    study = context.study
    found = write_site_maps(context)
    assert found.failures == ()
    change, affine = read_image(effect_of(study))
    place = affine[:3, :3] @ np.unravel_index(change.argmax(), change.shape) + affine[:3, 3]
    assert np.abs(place - [30, -30, 30]).max() <= 12
    assert change.max() == pytest.approx(ADDED, rel=0.25)
    far = np.abs(change) < 0.05
    assert far.mean() > 0.9
    sidecar = json.loads(sidecar_path(effect_of(study)).read_text())
    assert sidecar["Units"] == UNITS
    assert sidecar["HarmonizationReference"] == REFERENCE
    assert len(sidecar["Sources"]) == 3


def test_edges_change_around_what_was_drawn_and_nowhere_else(context):
    study = context.study
    write_site_maps(context)
    path = site_output(study.output_dir, SOURCE, "structure_change")
    change, affine = read_image(path)
    place = affine[:3, :3] @ np.unravel_index(np.abs(change).argmax(), change.shape)
    assert np.abs(place + affine[:3, 3] - [30, -30, 30]).max() <= 24
    assert np.abs(change).max() > 0.1 * ADDED / 12  # of one voxel of 12 mm
    assert (np.abs(change) < 0.02 * np.abs(change).max()).mean() > 0.8
    assert json.loads(sidecar_path(path).read_text())["Units"] == f"{UNITS}, per mm"


def test_the_reference_has_a_mean_and_no_effect(context):
    study = context.study
    files = write_site_maps(context).files
    means = [site_output(study.output_dir, site, "site_mean") for site in SITES[:2]]
    edges = site_output(study.output_dir, SOURCE, "structure_change")
    assert set(files) == {*means, effect_of(study), edges}
    mean = read_image(means[0])[0]
    assert 0.8 < np.percentile(mean, 99.9) < 1.3
    assert not effect_of(study, REFERENCE).exists()


def test_images_of_another_model_are_not_used_and_the_old_map_goes(context):
    study = context.study
    write_site_maps(context)
    for scan in study.of_site(SOURCE):
        harmonize(study, scan, sha256="old")
    found = write_site_maps(context)
    assert not effect_of(study).exists()
    assert not sidecar_path(effect_of(study)).exists()
    assert f"no map of the site effect of {SOURCE}" in found.notes[0]


def test_a_scan_that_cannot_be_read_is_left_out_by_name(context):
    scan = context.study.of_site(SOURCE)[0]
    scan.t1w.write_bytes(scan.t1w.read_bytes()[:100])
    found = write_site_maps(context)
    assert scan.stem in found.failures[0]
    assert len(json.loads(sidecar_path(effect_of(context.study)).read_text())["Sources"]) == 2


def test_without_a_way_to_the_template_there_is_no_map(context):
    for scan in context.study.scans:
        scan_output(context.study.output_dir, scan.stem, "xfm_preproc_to_template").unlink()
    found = write_site_maps(context)
    assert found.files == ()
    assert len(found.notes) == 2


def test_people_held_back_are_no_part_of_it(context):
    study = replace(context.study, held_back=frozenset({f"sub-{SOURCE}1"}))
    write_site_maps(replace(context, study=study))
    sources = json.loads(sidecar_path(effect_of(study)).read_text())["Sources"]
    assert [f"sub-{SOURCE}{number}" in " ".join(sources) for number in range(3)] == [
        True, False, True
    ]  # fmt: skip


def test_travelling_subjects_are_no_part_of_it(context):
    study = replace(context.study, eligible=context.study.eligible - {f"sub-{SOURCE}0"})
    write_site_maps(replace(context, study=study))
    sources = json.loads(sidecar_path(effect_of(study)).read_text())["Sources"]
    assert len(sources) == 2
    assert not any("sub-T" in source or f"sub-{SOURCE}0" in source for source in sources)
