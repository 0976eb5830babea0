"""The participant page, from a derivative on disk."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import crash_file, scan_output
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.report.participant import draw_raw_figures, find_stems, write_participant_page
from bids_harmonize.report.participant_methods import write_methods

MEASURE = next(iter(QUALITY_MEASURES))
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def _write_scan(output_dir: Path, stem: str, **changes: Any) -> None:
    mask = np.zeros((16, 20, 16), dtype=bool)
    mask[3:13, 3:17, 3:13] = True
    volume = np.random.default_rng(0).normal(500, 50, mask.shape) * mask
    write_image(scan_output(output_dir, stem, "preproc"), volume, AFFINE)
    write_image(scan_output(output_dir, stem, "head_mask"), mask, AFFINE, dtype=np.uint8)
    brain = np.roll(mask & np.roll(mask, 3, axis=0), 0)
    write_image(scan_output(output_dir, stem, "brain_mask"), brain, AFFINE, dtype=np.uint8)
    sidecar = {
        "Sources": [f"bids:raw:sub-01/anat/{stem}_T1w.nii.gz"],
        "NativeGrid": {"shape": [10, 11, 12], "voxel_size_mm": [1, 2, 3], "orientation": "LAS"},
        "QualityMeasures": {MEASURE: 12.34},
        "Flags": [],
        "BrainMaskDoubtful": False,
        "Settings": {"resolution_mm": 4.0, "grid_shape": None, "brain_mask": "template"},
        "SettingsHash": "abc",
        "InputSha256": "0123",
        "SoftwareVersion": "1.2.3",
        **changes,
    }
    path = scan_output(output_dir, stem, "preproc")
    write_json(path.with_name(f"{stem}_desc-preproc_T1w.json"), sidecar)
    row = {"site": "A & <b>", "site_source": "x", **sidecar["QualityMeasures"]}
    columns = {name: {"Description": name} for name in QUALITY_MEASURES}
    write_scan_rows(output_dir, {stem: row}, measures=columns)


class _References(HTMLParser):
    """Collects every address that the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset", "data") and value:
                self.found.append(f"{tag} {value[:40]}")


def test_the_page_needs_nothing_outside_itself(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01_run-1")
    html = write_participant_page(tmp_path, "sub-01").read_text()
    parser = _References()
    parser.feed(html)
    assert [found for found in parser.found if found.startswith("img data:image/png;base64,")]
    outside = [found for found in parser.found if not found.startswith(("img data:image/", "a #"))]
    assert outside == []
    assert "<script" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_the_page_shows_scan_site_measures_settings_and_origin(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01_run-1")
    _write_scan(tmp_path, "sub-01_run-2")
    _write_scan(tmp_path, "sub-011")
    html = write_participant_page(tmp_path, "sub-01").read_text()
    assert re.findall(r"<h2>(sub-.*?)</h2>", html) == ["sub-01_run-1", "sub-01_run-2"]
    assert "A &amp; &lt;b&gt;" in html
    assert "A & <b>" not in html
    assert f"<code>{MEASURE}</code>" in html
    assert ">12.3<" in html
    assert "10 x 11 x 12 voxels, LAS" in html
    assert "bids:raw:sub-01/anat/sub-01_run-1_T1w.nii.gz" in html
    assert "0123" in html
    assert "4 mm isotropic" in html
    assert "Nothing unusual was found" in html


def test_flags_stand_at_the_top_in_plain_words(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01", Flags=["skull-stripped input"], BrainMaskDoubtful=True)
    html = write_participant_page(tmp_path, "sub-01").read_text()
    top = html[: html.index("<section")]
    assert "The brain mask looks wrong" in top
    assert "Skull-stripped input." in top
    assert "Nothing unusual" not in html


def test_a_failed_scan_is_told_as_long_as_its_crash_file_is_there(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01_run-1")
    for run in ("20260101T000000_z", "20260102T000000_a"):
        crash = crash_file(tmp_path, "sub-01_run-2", run)
        write_text(crash, f"sub-01_run-2: truncated in {run}\n\nTraceback")
    html = write_participant_page(tmp_path, "sub-01").read_text()
    assert "The scan sub-01_run-2 could not be processed" in html
    assert "<li>truncated in 20260102T000000_a</li>" in html
    assert "20260101T000000_z" not in html
    assert "The scan sub-01_run-1 could not be processed" not in html


def test_a_participant_whose_only_scan_failed_has_a_page(tmp_path: Path) -> None:
    write_text(crash_file(tmp_path, "sub-07", "20260101T000000_z"), "sub-07: file.nii: 4D\n")
    html = write_participant_page(tmp_path, "sub-07").read_text()
    assert "The scan sub-07 could not be processed" in html
    assert "Methods" not in html


def test_an_image_without_its_sidecar_is_unfinished_and_not_shown(tmp_path: Path) -> None:
    for stem in ("sub-07_run-1", "sub-07_run-2"):
        _write_scan(tmp_path, stem)
    image = scan_output(tmp_path, "sub-07_run-2", "preproc")
    image.with_name("sub-07_run-2_desc-preproc_T1w.json").unlink()
    assert find_stems(tmp_path, "sub-07") == ("sub-07_run-1",)
    assert "sub-07_run-2" not in write_participant_page(tmp_path, "sub-07").read_text()


def test_the_raw_picture_is_drawn_once_and_reused(tmp_path: Path) -> None:
    volume = np.random.default_rng(1).random((12, 14, 10)).astype(np.float32)
    image = tmp_path / "sub-01_T1w.nii.gz"
    nb.save(nb.Nifti1Image(volume, np.diag([-4.0, 4.0, 4.0, 1.0])), image)
    scan = Scan(image, "sub-01", None, {"sub": "01"})
    broken = Scan(tmp_path / "gone.nii.gz", "sub-02", None, {"sub": "02"})
    (path,) = draw_raw_figures([scan, broken], tmp_path / "out")
    assert path == tmp_path / "out/sub-01/figures/sub-01_desc-raw_mosaic.png"
    made = path.stat().st_mtime_ns
    assert draw_raw_figures([scan], tmp_path / "out") == (path,)
    assert path.stat().st_mtime_ns == made
    _write_scan(tmp_path / "out", "sub-01")
    html = write_participant_page(tmp_path / "out", "sub-01").read_text()
    assert "Before: as the scanner gave it" in html


def test_the_same_files_give_the_same_page(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01")
    first = write_participant_page(tmp_path, "sub-01").read_bytes()
    assert write_participant_page(tmp_path, "sub-01").read_bytes() == first


@pytest.mark.parametrize("kind", ["none", "template"])
def test_the_methods_say_only_what_was_done(tmp_path: Path, kind: str) -> None:
    settings = {"resolution_mm": 4.0, "grid_shape": [48, 56, 48], "brain_mask": kind}
    _write_scan(tmp_path, "sub-01", Settings=settings)
    html = write_participant_page(tmp_path, "sub-01").read_text()
    assert ("ICBM152" in html.partition('id="methods"')[2].partition("<ol>")[0]) == (
        kind == "template"
    )
    assert "48 x 56 x 48 voxels" in html


@pytest.mark.parametrize("brain", ["none", "template", "bet", "synthstrip"])
@pytest.mark.parametrize("bias", [None, "none", "n4", "ants"])
@pytest.mark.parametrize("tissue", [None, False, True])
def test_methods_cite_every_reference_once_in_order(
    brain: str, bias: str | None, tissue: bool | None
) -> None:
    settings = {"resolution_mm": 1.0, "grid_shape": None, "brain_mask": brain}
    settings |= {} if bias is None else {"bias_correction": bias}
    settings |= {} if tissue is None else {"tissue": tissue}
    paragraphs, references = write_methods(settings)
    cited = [int(number) for number in re.findall(r"\[(\d+)\]", " ".join(paragraphs))]
    assert list(dict.fromkeys(cited)) == list(range(1, len(references) + 1))
    text = " ".join(paragraphs)
    assert ("taken out with" in text) == (bias in ("n4", "ants"))
    assert ("diffeomorphic demons" in text) == (tissue is True and brain != "none")
    for name, words in (("bet", "FSL BET"), ("synthstrip", "SynthStrip")):
        assert (words in text) == (brain == name)


def test_methods_name_the_dataset_that_masks_came_from() -> None:
    settings = {"resolution_mm": 1.0, "grid_shape": None, "brain_mask": "template"}
    paragraphs, _ = write_methods(settings, mask_sources=("template", "derivative:fmriprep"))
    assert "taken from fmriprep where" in " ".join(paragraphs)


@pytest.mark.parametrize(
    ("sources", "tissue", "template", "refined"),
    [
        ((), False, False, False),
        (("derivative:prep",), True, True, False),
        (("derivative:prep", "template"), True, True, True),
    ],
)
def test_a_given_mask_alone_brings_template_and_tissue(sources, tissue, template, refined) -> None:
    settings = {"resolution_mm": 1.0, "grid_shape": None, "brain_mask": "none", "tissue": True}
    paragraphs, references = write_methods(settings, mask_sources=sources)
    text = " ".join(paragraphs)
    assert ("diffeomorphic demons" in text) is tissue
    assert ("ICBM152" in text) is template
    assert ("was refined by" in text) is refined
    cited = [int(number) for number in re.findall(r"\[(\d+)\]", text)]
    assert list(dict.fromkeys(cited)) == list(range(1, len(references) + 1))


def test_measures_stand_beside_those_of_the_study(tmp_path: Path) -> None:
    stems = [f"sub-{number:02d}" for number in range(1, 13)]
    for number, stem in enumerate(stems):
        value = 2.0 if stem == "sub-12" else 10.0 + 0.1 * number
        _write_scan(tmp_path, stem, QualityMeasures={MEASURE: value})
    html = write_participant_page(tmp_path, "sub-12").read_text()
    assert "Beside 12 scans so far" in html
    assert "percentile 4 among 12 scans of A &amp; &lt;b&gt;, median" in html
    assert "Stands apart from the scans it is compared with: SNR 2." in html
    assert html.count("data:image/svg+xml") == 1
    assert "Nothing unusual" in write_participant_page(tmp_path, "sub-05").read_text()


def test_the_page_grows_with_the_study_though_the_scan_is_the_same(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01")
    first = write_participant_page(tmp_path, "sub-01").read_text()
    _write_scan(tmp_path, "sub-02")
    second = write_participant_page(tmp_path, "sub-01").read_text()
    assert "Beside 1 scan so far" in first
    assert "Beside 2 scans so far" in second
    picture = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
    assert picture.findall(first) == picture.findall(second)


def test_confidences_and_doubts_of_the_sidecar_are_told(tmp_path: Path) -> None:
    _write_scan(
        tmp_path, "sub-01", HeadMaskConfidence=0.97, HeadMaskDoubtful=True,
        BrainMaskConfidence=0.5, BrainMaskSource="synthstrip", TissueDoubtful=True,
        TissueVolumesMl={"gm": 700.4, "wm": 500.0, "csf": 250.0},
    )  # fmt: skip
    html = write_participant_page(tmp_path, "sub-01").read_text()
    top = html[: html.index("<section")]
    assert "The head mask looks wrong" in top
    assert "The tissue maps look wrong" in top
    assert "The brain mask looks wrong" not in top
    assert "<dd>0.97</dd>" in html
    assert "<dd>0.50 (synthstrip)</dd>" in html
    assert "<dd>700, 500, 250 mL</dd>" in html


def _harmonize(output_dir: Path, stem: str, **changes: Any) -> None:
    image = scan_output(output_dir, stem, "harmonized", reference="Site B")
    volume = nb.load(scan_output(output_dir, stem, "preproc")).get_fdata()
    write_image(image, 0.5 * volume, AFFINE)
    sidecar = {
        "HarmonizationReference": "Site B",
        "HarmonizationMethod": "nyul",
        "HarmonizationModel": "nyul_to-SiteB",
        "HarmonizationModelSha256": "feedbeef",
        "InputSha256": file_sha256(scan_output(output_dir, stem, "preproc")),
        "Site": "A",
        **changes,
    }
    write_json(image.with_name(image.name.replace(".nii.gz", ".json")), sidecar)


def test_a_harmonized_image_is_shown_with_its_model(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01")
    plain = write_participant_page(tmp_path, "sub-01").read_text()
    assert "Harmonized to" not in plain
    _harmonize(tmp_path, "sub-01")
    page = write_participant_page(tmp_path, "sub-01").read_text()
    assert page.count("Harmonized to Site B") == 2
    assert "Made by nyul." in page
    assert "<code>nyul_to-SiteB</code>" in page
    assert "<code>feedbeef</code>" in page
    assert page.count("data:image/png") == plain.count("data:image/png") + 2
    assert "Please read before you use it" not in page


def test_an_outdated_or_unseen_harmonized_image_is_called_so(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01")
    _harmonize(tmp_path, "sub-01", InputSha256="old", HarmonizationUnseenSite=True)
    page = write_participant_page(tmp_path, "sub-01").read_text()
    assert "It was made from an earlier preprocessed image" in page
    assert "The model was trained on no scan of A" in page


def test_the_picture_goes_with_the_harmonized_image(tmp_path: Path) -> None:
    _write_scan(tmp_path, "sub-01")
    _harmonize(tmp_path, "sub-01")
    write_participant_page(tmp_path, "sub-01")
    picture = tmp_path / "sub-01" / "figures" / "sub-01_desc-harmonized_mosaic.png"
    first = picture.read_bytes()
    _harmonize(tmp_path, "sub-01", HarmonizationModelSha256="other")
    write_participant_page(tmp_path, "sub-01")
    assert picture.read_bytes() != first
    for path in (tmp_path / "sub-01" / "anat").glob("*_desc-harmonizedSiteB_T1w.*"):
        path.unlink()
    assert "Harmonized to" not in write_participant_page(tmp_path, "sub-01").read_text()
    assert not picture.exists()
