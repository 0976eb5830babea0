"""Programs of other packages: their command lines and files, and what is said when they fail."""

from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.bids.images import read_mask
from bids_harmonize.errors import ScanError
from bids_harmonize.preprocessing.tools import run_bet, run_n4, run_synthstrip
from tests.preprocessing.programs import PROGRAMS, install

SHAPE = (10, 12, 14)


@pytest.fixture
def volume_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume, and beside it the brain that the programs will find; a space in the path."""
    tmp_path = tmp_path / "my study"
    tmp_path.mkdir()
    brain = np.zeros(SHAPE, np.uint8)
    brain[3:7, 4:9, 2:11] = 1
    nb.save(nb.Nifti1Image(brain, np.eye(4)), tmp_path / "truth.nii.gz")
    monkeypatch.setenv("FAKE_BRAIN", str(tmp_path / "truth.nii.gz"))
    volume = np.random.default_rng(0).uniform(1, 9, SHAPE).astype(np.float32)
    nb.save(nb.Nifti1Image(volume, np.eye(4)), tmp_path / "volume.nii.gz")
    return tmp_path / "volume.nii.gz"


@pytest.mark.parametrize(
    ("program", "run"), [("bet", run_bet), ("mri_synthstrip", run_synthstrip)]
)
def test_a_brain_program_gets_its_words_and_its_mask_is_read(
    volume_file: Path, monkeypatch: pytest.MonkeyPatch, program: str, run
) -> None:
    folder = volume_file.parent
    install(folder / "bin", monkeypatch, **{program: PROGRAMS[program]})
    mask, affine = read_mask(run(volume_file, folder))
    assert mask.sum() == 4 * 5 * 9
    assert mask[3:7, 4:9, 2:11].all()
    np.testing.assert_array_equal(affine, np.eye(4))


def test_n4_of_ants_gets_its_words_and_its_field_is_read(
    volume_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = volume_file.parent
    name = "N4BiasFieldCorrection"
    install(folder / "bin", monkeypatch, **{name: PROGRAMS[name]})
    mask_file = folder / "truth.nii.gz"
    field = nb.load(run_n4(volume_file, mask_file, folder, resolution_mm=1.0)).get_fdata()
    assert field.shape == SHAPE
    assert field[0, 0, 0] == pytest.approx(np.exp(-0.3), rel=1e-6)
    assert field[0, -1, 0] == pytest.approx(np.exp(0.3), rel=1e-6)


FAILING = "sys.stderr.write('first\\nERROR: no licence file\\n')\nsys.exit(3)\n"


@pytest.mark.parametrize(
    ("program", "run"), [("bet", run_bet), ("mri_synthstrip", run_synthstrip)]
)
def test_a_program_that_fails_is_named_with_its_last_words(
    volume_file: Path, monkeypatch: pytest.MonkeyPatch, program: str, run
) -> None:
    folder = volume_file.parent
    install(folder / "bin", monkeypatch, **{program: FAILING})
    with pytest.raises(ScanError, match=rf"{program} failed \(return code 3\).*no licence file"):
        run(volume_file, folder)


def test_a_program_that_writes_nothing_is_named(
    volume_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = volume_file.parent
    install(folder / "bin", monkeypatch, mri_synthstrip="print('all done')\n")
    with pytest.raises(ScanError, match=r"wrote no synthstrip_mask.nii.gz; .*all done"):
        run_synthstrip(volume_file, folder)


def test_a_program_that_went_away_is_named(
    volume_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(volume_file.parent / "bin", monkeypatch)
    with pytest.raises(ScanError, match=r'mri_synthstrip failed .*No command "mri_synthstrip"'):
        run_synthstrip(volume_file, volume_file.parent)
