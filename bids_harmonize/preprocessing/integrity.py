"""Whether the files of a finished scan are still what was written.

Choice: their sizes, kept in the preprocessed image's sidecar. Reason: a run over a thousand
finished scans looks at every file, and sizes cost one call each, where a hash reads some 20 MB a
scan over the network; a file that was cut, emptied or written anew by another program has another
size, and a damaged ``.nii.gz`` shows when it is read, by its own checksum. Rejected: times, which
copying changes. Revisit if files of equal size but other content are met.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SIZES_KEY = "OutputSizes"
"""Key of the sidecar: file name to bytes."""


def file_sizes(paths: Iterable[Path]) -> dict[str, int]:
    """Name of each file to its size, bytes; sorted by name."""
    return {path.name: path.stat().st_size for path in sorted(paths)}


def are_unchanged(sidecar: Mapping[str, Any], folder: Path) -> bool:
    """Whether all files that a sidecar lists stand in ``folder`` with the size they had."""
    sizes = sidecar.get(SIZES_KEY)
    if not isinstance(sizes, Mapping) or not sizes:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False
