"""Names for the arrays that the ground floor passes around; checked by shape in docstrings."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Volume: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Affine: TypeAlias = NDArray[np.float64]
