"""Volumes for training: scaling, the network's grid, and the mapped array."""

import os
import pickle
from dataclasses import replace

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.errors import ScanError
from bids_harmonize.training.volumes import (
    DiskVolumes,
    SelectedVolumes,
    StoredVolumes,
    TransformedVolumes,
    map_volumes,
    to_network_grid,
)
from tests.training.toys import write_toys

FINE = (48, 56, 48)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_toys(tmp_path_factory.mktemp("toys"), n_per_site=2, shape=FINE)


@pytest.fixture
def source(scans):
    return DiskVolumes(scans)


def test_white_matter_is_about_one_and_air_is_zero(source):
    volume, brain = source.volume(0), source.brain_mask(0)
    assert volume.dtype == np.float32
    assert np.percentile(volume[brain], 99) == pytest.approx(1, abs=1e-3)
    assert not volume[~source.head_mask(0)].any()


def test_the_scaling_leads_back_to_native_units(source, scans):
    native = nb.load(scans[0].t1w).get_fdata(dtype=np.float32)
    assert np.allclose(source.scaling(0).undo(source.volume(0)), native, rtol=1e-5, atol=1e-3)


def test_without_brain_masks_the_head_takes_their_place(scans):
    source = DiskVolumes([replace(scan, brain_mask=None) for scan in scans], "head")
    assert np.array_equal(source.brain_mask(1), source.head_mask(1))
    inside = source.volume(1)[source.head_mask(1)]
    assert np.percentile(inside, 99) == pytest.approx(1, abs=1e-3)


def test_the_coarse_grid_keeps_centre_volume_and_brightness(source):
    volume, head, brain = to_network_grid(
        source.volume(0),
        source.head_mask(0),
        source.brain_mask(0),
        voxel_size_mm=4.0,
        resolution_mm=8.0,
    )
    assert volume.shape == (24, 32, 24)  # 28 along J, rounded up to a multiple of 8
    assert not volume[~head].any()
    assert not (brain & ~head).any()
    fine = source.head_mask(0)
    assert head.sum() * 8 == pytest.approx(fine.sum(), rel=0.03)
    ratio = volume[brain].mean() / source.volume(0)[source.brain_mask(0)].mean()
    assert ratio == pytest.approx(1, abs=0.02)
    for axis in range(3):
        centres = []
        for mask, size in ((fine, 4.0), (head, 8.0)):
            place = (np.argwhere(mask)[:, axis].mean() - (mask.shape[axis] - 1) / 2) * size
            centres.append(place)
        assert centres[0] == pytest.approx(centres[1], abs=0.8)


def test_a_study_is_never_made_finer(source, tmp_path):
    mapped = map_volumes(source, resolution_mm=2.0, folder=tmp_path)
    assert (mapped.shape, mapped.voxel_size_mm) == (FINE, pytest.approx(4.0))
    assert np.array_equal(mapped.volume(3), source.volume(3))


def test_mapped_volumes_equal_single_scans_bit_for_bit(source, tmp_path):
    mapped = map_volumes(source, resolution_mm=8.0, folder=tmp_path)
    for index in range(len(source)):
        arrays = source.volume(index), source.head_mask(index), source.brain_mask(index)
        single = to_network_grid(*arrays, voxel_size_mm=4.0, resolution_mm=8.0)
        found = mapped.volume(index), mapped.head_mask(index), mapped.brain_mask(index)
        assert all(np.array_equal(a, b) for a, b in zip(single, found, strict=True))
        assert mapped.scaling(index) == source.scaling(index)


def test_an_unchanged_study_is_mapped_once_and_a_changed_one_again(source, scans, tmp_path):
    first = map_volumes(source, resolution_mm=8.0, folder=tmp_path)
    (folder,) = tmp_path.iterdir()
    before = (folder / "volumes.npy").stat().st_mtime_ns
    map_volumes(source, resolution_mm=8.0, folder=tmp_path)
    assert (folder / "volumes.npy").stat().st_mtime_ns == before
    later = scans[0].t1w.stat().st_mtime_ns + 1_000_000_000
    os.utime(scans[0].t1w, ns=(later, later))
    second = map_volumes(source, resolution_mm=8.0, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert second.content != first.content


def test_a_scan_of_another_shape_is_named(scans, tmp_path):
    odd = write_toys(tmp_path, n_per_site=1, n_sites=1, shape=(24, 28, 24))
    with pytest.raises(ScanError, match=odd[0].t1w.name):
        DiskVolumes([*scans, *odd]).volume(4)


def test_selected_and_transformed_volumes_pass_the_rest_on(source):
    chosen = SelectedVolumes(TransformedVolumes(source, lambda index, v: v * index), [3, 1])
    assert [scan.key for scan in chosen.scans] == [source.scans[3].key, source.scans[1].key]
    assert np.array_equal(chosen.volume(0), source.volume(3) * 3)
    assert np.array_equal(chosen.head_mask(1), source.head_mask(1))
    assert chosen.scaling(0) == source.scaling(3)


def test_another_process_is_sent_paths_not_voxels(source, tmp_path):
    mapped = map_volumes(source, resolution_mm=8.0, folder=tmp_path)
    made = np.stack([mapped.volume(n) + 1 for n in range(len(mapped))])
    np.save(tmp_path / "made.npy", made)
    stored = SelectedVolumes(StoredVolumes(mapped, tmp_path / "made.npy"), [1, 0])
    sent = pickle.dumps(stored)
    assert len(sent) < 0.05 * made.nbytes
    there = pickle.loads(sent)
    assert [scan.key for scan in there.scans] == [scan.key for scan in stored.scans]
    for n in range(2):
        np.testing.assert_array_equal(there.volume(n), made[1 - n])
        np.testing.assert_array_equal(there.brain_mask(n), mapped.brain_mask(1 - n))
    assert there.scaling(0) == mapped.scaling(1)
