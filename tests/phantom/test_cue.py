import json
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.phantom import PRESETS, Person, StudyTruth, make_scanners, write_study
from bids_harmonize.phantom.acquisition import simulate
from bids_harmonize.phantom.canvas import LATTICE_MM, Canvas
from bids_harmonize.phantom.cue import place_in
from bids_harmonize.phantom.person import _pull_back
from bids_harmonize.phantom.session import Session

SMALL = {"n_sites": 2, "n_per_site": 1, "n_travelling": 1, "resolution_mm": 6.0}
CUE = PRESETS["cue"].cue


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyTruth, StudyTruth]:
    """The same people and scanners, without and with the cue."""
    folder = tmp_path_factory.mktemp("cue")
    null, cue = (
        write_study(folder / name, preset=name, noise_free=True, **SMALL)
        for name in ("null", "cue")
    )
    return null, cue


def _stems(study: StudyTruth, site: str) -> dict[str, Path]:
    return {scan.stem: scan.path for scan in study.scans if scan.site == site}


def test_only_the_last_site_shows_the_cue(studies: tuple[StudyTruth, StudyTruth]) -> None:
    null, cue = studies
    first, last = _stems(cue, "SiteA"), _stems(cue, "SiteB")
    assert len(first) == len(last) == 3
    for stem, path in first.items():
        assert path.read_bytes() == _stems(null, "SiteA")[stem].read_bytes()
    for stem, path in last.items():
        assert path.read_bytes() != _stems(null, "SiteB")[stem].read_bytes()
    for stem, path in {**first, **last}.items():
        name = f"{stem}_T1w.json"
        plain = {**_stems(null, "SiteA"), **_stems(null, "SiteB")}[stem]
        assert path.with_name(name).read_bytes() == plain.with_name(name).read_bytes()
    for name in ("participants.tsv", "heads"):
        one, other = null.truth_dir / name, cue.truth_dir / name
        for path in [one] if one.is_file() else sorted(one.iterdir()):
            twin = other if one.is_file() else other / path.name
            assert path.read_bytes() == twin.read_bytes()


def test_the_patch_lies_where_the_truth_says_and_nothing_else_differs(
    studies: tuple[StudyTruth, StudyTruth],
) -> None:
    null, cue = studies
    truth = json.loads((cue.truth_dir / "scans.json").read_text())
    assert [stem for stem in truth if "cue_mm" in truth[stem]] == list(_stems(cue, "SiteB"))
    scanners = json.loads((cue.truth_dir / "scanners.json").read_text())
    assert [name for name in scanners if "cue" in scanners[name]] == ["SiteB"]
    assert scanners["SiteB"]["cue"] == {
        "template_mm": [27.0, 2.0, 0.0], "radius_mm": 8.0, "brightening": 1.0
    }  # fmt: skip
    for stem in _stems(cue, "SiteB"):
        image = nb.load(cue.truth_dir / "noisefree" / f"{stem}_T1w.nii.gz")
        plain = nb.load(null.truth_dir / "noisefree" / f"{stem}_T1w.nii.gz").get_fdata()
        ratio = np.where(plain > 0.02 * plain.max(), image.get_fdata() / plain.clip(1e-6), 1.0)
        index = np.argwhere(np.ones(ratio.shape, bool))
        world = nb.affines.apply_affine(image.affine, index)
        distance = np.linalg.norm(world - truth[stem]["cue_mm"], axis=1).reshape(ratio.shape)
        gain = ratio - 1
        centre = (gain[..., None] * world.reshape(*ratio.shape, 3)).sum((0, 1, 2)) / gain.sum()
        assert np.linalg.norm(centre - truth[stem]["cue_mm"]) < 1.5
        assert gain[distance < 5].mean() == pytest.approx(0.75, abs=0.08)
        assert np.abs(gain[distance > 40]).max() < 1e-4


def test_the_patch_follows_the_warp_of_the_person(person_3mm: Person) -> None:
    canvas, lattice = Canvas(3.0), Canvas(LATTICE_MM)
    template_mm = np.stack(np.broadcast_arrays(*canvas.coordinates(), np.float32(1)))
    displacement = canvas.from_lattice(person_3mm.displacement_mm, lattice)
    pulled = _pull_back(template_mm, canvas, displacement, person_3mm.traits)[:3]
    place = place_in(person_3mm, CUE.template_mm)
    at = (place - canvas.affine[:3, 3]) / 3.0
    came_from = [ndimage.map_coordinates(part, at[:, None], order=1)[0] for part in pulled]
    assert came_from == pytest.approx(CUE.template_mm, abs=0.2)
    assert 0.5 < np.linalg.norm(place - CUE.template_mm) < 20


def test_it_is_the_simulated_scan_that_is_brighter(person_3mm: Person) -> None:
    first, last = make_scanners(PRESETS["cue"], n_sites=2, resolution_mm=6.0, seed=0)
    still = Session((0.0, 0.0, 0.0), (4.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0), 1.0, 0)
    plain, marked = (simulate(person_3mm, scanner, still) for scanner in (first, last))
    assert plain.cue_mm is None
    assert np.array(marked.cue_mm) - place_in(person_3mm, CUE.template_mm) == pytest.approx(
        [4.0, 0.0, 0.0], abs=1e-4
    )
