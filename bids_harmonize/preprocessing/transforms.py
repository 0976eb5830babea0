"""Transform files that ITK, ANTs and 3D Slicer read."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bids_harmonize.bids.files import replacing, write_text
from bids_harmonize.imaging._itk import to_itk_transform
from bids_harmonize.imaging.types import Affine

IDENTITY_TEXT = """\
#Insight Transform File V1.0
#Transform 0
Transform: AffineTransform_double_3_3
Parameters: 1 0 0 0 1 0 0 0 1 0 0 0
FixedParameters: 0 0 0
"""


def write_identity(path: Path) -> None:
    """Write the transform between two grids in one and the same world.

    Parameters
    ----------
    path
        Ends with ``.txt``.
    """
    write_text(path, IDENTITY_TEXT)


def write_to_template(path: Path, world_to_template: Affine) -> None:
    """Write the ITK composite that resamples an image onto the template.

    Parameters
    ----------
    path
        Ends with ``.h5``.
    world_to_template
        4x4 matrix, mm, RAS+, from the image's world to the template's world. ITK wants the way
        back, in LPS: from a point of the template to the point of the image that belongs there.
    """
    template_to_world = np.asarray(np.linalg.inv(world_to_template), dtype=np.float64)
    affine = to_itk_transform(template_to_world)
    with replacing(path) as temporary:
        sitk.WriteTransform(sitk.CompositeTransform([affine]), str(temporary))
