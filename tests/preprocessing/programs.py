"""Small programs that take the command line of BET, SynthStrip and ANTs, to put on PATH.

They check that what they get is what the real ones take, and write where these would write.
"""

import stat
import sys
from pathlib import Path

import pytest

_HEAD = (
    f"#!{sys.executable}\n"
    + '''
import argparse, os, sys
import nibabel as nb
import numpy as np

def read(name):
    image = nb.load(name)
    assert image.get_data_dtype() == np.float32, image.get_data_dtype()
    assert nb.aff2axcodes(image.affine) == ("R", "A", "S")
    return image

def write_brain(image, name):
    """The brain that the test knows, voxel for voxel."""
    truth = nb.load(os.environ["FAKE_BRAIN"])
    assert truth.shape == image.shape, (truth.shape, image.shape)
    data = np.asarray(truth.dataobj).astype(np.int16)
    nb.save(nb.Nifti1Image(data, image.affine), name)
'''
)

PROGRAMS = {
    "bet": """
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("input")
parser.add_argument("output")
for flag in ("-m", "-n", "-R"):
    parser.add_argument(flag, action="store_true")
words = parser.parse_args()
assert os.environ["FSLOUTPUTTYPE"] == "NIFTI_GZ"
assert words.m and words.R
write_brain(read(words.input), words.output.replace(".nii.gz", "") + "_mask.nii.gz")
sys.exit(1)  # its return code means nothing
""",
    "mri_synthstrip": """
parser = argparse.ArgumentParser(allow_abbrev=False)
for flag in ("-i", "-o", "-m"):
    parser.add_argument(flag, required=True)
words = parser.parse_args()
write_brain(read(words.i), words.m)
""",
    "N4BiasFieldCorrection": """
words = " ".join(sys.argv[1:])
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("-d", required=True)
parser.add_argument("--input-image", required=True)
parser.add_argument("--mask-image", required=True)
parser.add_argument("--shrink-factor", type=int, required=True)
parser.add_argument("--bspline-fitting", nargs="+", required=True)
parser.add_argument("--convergence", nargs="+", required=True)
parser.add_argument("--output", nargs="+", required=True)
words = parser.parse_args()
assert words.output[0] == "[" and words.output[-1] == "]", words.output
image = read(words.input_image)
mask = np.asarray(nb.load(words.mask_image).dataobj) > 0
assert mask.shape == image.shape and mask.any()
ramp = np.exp(np.linspace(-0.3, 0.3, image.shape[1])).astype(np.float32)
field = np.broadcast_to(ramp[None, :, None], image.shape)
corrected, bias = words.output[1].rstrip(","), words.output[2]
nb.save(nb.Nifti1Image(np.asarray(image.dataobj) / field, image.affine), corrected)
nb.save(nb.Nifti1Image(np.ascontiguousarray(field), image.affine), bias)
""",
}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **texts: str) -> Path:
    """Put programs on PATH: those of :data:`PROGRAMS`, or what ``texts`` says in their place."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        path.write_text(_HEAD + text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder
