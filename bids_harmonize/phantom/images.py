"""Raw NIfTI files as scanners write them: several datatypes, slope and intercept.

``bids.images.write_image`` writes derivatives, which are never scaled; a raw phantom must be.
"""

import gzip
from pathlib import Path

import nibabel as nb
import numpy as np

from bids_harmonize.bids.files import write_bytes

_STORED_LEVELS = 4000  # of a 12 bit converter


def write_raw_image(path: Path, volume: np.ndarray, affine: np.ndarray, *, datatype: str) -> None:
    """Write a scan; equal input gives an equal file, byte for byte.

    Parameters
    ----------
    path
        Ends with ``.nii.gz``.
    volume
        Shape (I, J, K), native intensities, >= 0.
    affine
        4x4 voxel-to-world, mm; goes into qform and sform, code 1 (scanner).
    datatype
        ``"float32"``: as it is; ``"uint16"``: rounded; ``"int16"``: 4000 levels and a slope.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    slope = 1.0
    if datatype == "int16":
        slope = float(np.float32(max(float(volume.max()), 1e-6) / _STORED_LEVELS))
    stored = volume if datatype == "float32" else np.rint(volume / slope)
    image = nb.Nifti1Image(stored.astype(datatype), affine)
    image.header.set_data_dtype(datatype)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    content = image.to_bytes()
    if slope != 1.0:
        header = nb.Nifti1Header(content[:348])
        header["scl_slope"], header["scl_inter"] = slope, 0.0
        content = header.binaryblock + content[348:]
    write_bytes(path, gzip.compress(content, compresslevel=5, mtime=0))
