"""The pictures of a scan: which there are, when they are drawn again, and what they cut."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import OUTPUTS, scan_output
from bids_harmonize.bids.outputs import OutputRow
from bids_harmonize.imaging.orientation import to_ras
from bids_harmonize.report.figures import GREY_COLOUR, WHITE_COLOUR
from bids_harmonize.report.participant_figures import (
    N_SLICES_PAIR,
    draw_raw,
    matched_cuts,
    raw_figure,
    relative_widths,
    scan_pictures,
)
from bids_harmonize.report.scan_images import ScanImages
from tests.report.test_figures import _pixels

STEM = "sub-01"
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = [-60, -80, -50]
SHAPE = (30, 36, 32)
SIDECAR = {"InputSha256": "0", "SettingsHash": "1", "SoftwareVersion": "2"}
MAPS = {
    "gm": "_label-GM_probseg.nii.gz",
    "wm": "_label-WM_probseg.nii.gz",
    "csf": "_label-CSF_probseg.nii.gz",
    "bias_field": "_desc-biasField_statmap.nii.gz",
}


@pytest.fixture
def derivative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scan with masks, and rows for the maps that it may have."""
    for key, pattern in MAPS.items():
        if key not in OUTPUTS:
            monkeypatch.setitem(OUTPUTS, key, OutputRow(key, pattern, "scan", ""))
    volume = np.random.default_rng(0).normal(500, 50, SHAPE) * _ball(13)
    write_image(scan_output(tmp_path, STEM, "preproc"), volume, AFFINE)
    for key, radius in (("head_mask", 13), ("brain_mask", 9)):
        write_image(scan_output(tmp_path, STEM, key), _ball(radius), AFFINE, dtype=np.uint8)
    return tmp_path


def _ball(radius: float) -> np.ndarray:
    places = np.stack(np.meshgrid(*[np.arange(n) - n / 2 for n in SHAPE], indexing="ij"))
    return np.sqrt((places**2).sum(axis=0)) < radius


def _write_maps(output_dir: Path) -> None:
    white, grey = _ball(5), _ball(8) & ~_ball(5)
    for key, values in (("wm", white), ("gm", grey), ("csf", _ball(9) & ~_ball(8))):
        write_image(scan_output(output_dir, STEM, key), values, AFFINE)
    field = np.where(_ball(13), np.linspace(0.8, 1.2, SHAPE[0])[:, None, None], 0)
    write_image(scan_output(output_dir, STEM, "bias_field"), field, AFFINE)


def _near(png: bytes, colour: str) -> int:
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
    return int((np.abs(_pixels(png) - wanted).sum(axis=-1) < 60).sum())


def test_tissue_and_bias_are_shown_where_their_files_stand(derivative: Path) -> None:
    assert set(scan_pictures(derivative, STEM, SIDECAR)) == {"mosaic", "conformed", "intensities"}
    _write_maps(derivative)
    pictures = scan_pictures(derivative, STEM, SIDECAR)
    assert {"tissue", "bias"} <= set(pictures)
    assert _near(pictures["tissue"], WHITE_COLOUR) > 100
    assert _near(pictures["tissue"], GREY_COLOUR) > _near(pictures["tissue"], WHITE_COLOUR)
    assert _near(pictures["conformed"], WHITE_COLOUR) == 0
    scan_output(derivative, STEM, "csf").unlink()
    figure = derivative / f"sub-01/figures/{STEM}_desc-tissue_mosaic.png"
    assert figure.is_file()
    assert "tissue" not in scan_pictures(derivative, STEM, SIDECAR)
    assert not figure.exists()


def test_a_scan_without_a_brain_mask_can_be_shown(derivative: Path) -> None:
    scan_output(derivative, STEM, "brain_mask").unlink()
    assert len(scan_pictures(derivative, STEM, SIDECAR)) == 3


@pytest.mark.parametrize("change", ["nothing", "mask", "settings"])
def test_pictures_are_drawn_again_only_for_a_changed_scan(derivative: Path, change: str) -> None:
    first = scan_pictures(derivative, STEM, SIDECAR)
    kept = derivative / "sub-01/figures/sub-01_desc-outlines_mosaic.png"
    assert kept.read_bytes() == first["mosaic"]
    drawn = kept.stat().st_mtime_ns
    sidecar: dict[str, Any] = dict(SIDECAR)
    if change == "settings":
        sidecar["SettingsHash"] = "other"
    if change == "mask":
        path = scan_output(derivative, STEM, "brain_mask")
        write_image(path, _ball(6), AFFINE, dtype=np.uint8)
        os.utime(path, ns=(drawn + 10**9, drawn + 10**9))
    second = scan_pictures(derivative, STEM, sidecar)
    assert (kept.stat().st_mtime_ns == drawn) == (change == "nothing")
    assert (second["mosaic"] == first["mosaic"]) == (change == "nothing")
    same = np.array_equal(_pixels(second["mosaic"]), _pixels(first["mosaic"]))
    assert same == (change != "mask")


@pytest.mark.parametrize("directions", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1)])
def test_before_and_after_show_the_same_places(
    derivative: Path, directions: tuple[int, int, int]
) -> None:
    native = np.diag([*(np.array(directions) * (2.0, 3.0, 1.5)), 1.0])
    native[:3, 3] = -np.array(directions) * (80, 100, 70)
    raw, affine = to_ras(np.zeros((80, 70, 90), np.float32), native)
    images = ScanImages(derivative, STEM)
    cuts = matched_cuts(images, raw.shape, affine)
    brain = np.argwhere(images.focus)
    for axis, indices in zip((2, 1, 0), cuts, strict=True):  # axial, coronal, sagittal
        low, high = brain[:, axis].min(), brain[:, axis].max()
        wanted = np.linspace(low, high, N_SLICES_PAIR + 2)[1:-1].round()
        world = AFFINE[axis, axis] * wanted + AFFINE[axis, 3]
        found = affine[axis, axis] * indices + affine[axis, 3]
        assert np.abs(found - world).max() <= affine[axis, axis] / 2 + 1e-6


def test_the_raw_picture_has_the_intensities_of_the_conformed_one(derivative: Path) -> None:
    images = ScanImages(derivative, STEM)
    volume, affine = images.preproc
    raw = _pixels(draw_raw(images, volume, affine))
    assert np.array_equal(raw, _pixels(scan_pictures(derivative, STEM, SIDECAR)["conformed"]))
    alone = ScanImages(derivative, "sub-02")
    assert draw_raw(alone, volume, affine)[1:4] == b"PNG"
    assert raw_figure(derivative, STEM).name == "sub-01_desc-raw_mosaic.png"


def test_a_millimetre_is_as_long_before_as_after() -> None:
    header = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR"
    pictures = {
        "raw": header + (800).to_bytes(4, "big"),
        "other": header + (400).to_bytes(4, "big"),
    }
    assert relative_widths(pictures, ("raw", "other", "none")) == {"raw": 100, "other": 50}
