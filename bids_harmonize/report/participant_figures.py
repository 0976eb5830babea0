"""The pictures of a scan: drawn once, kept in ``figures``, drawn again when the scan changed.

Choice: pictures are files of their own, with a mark of what they show. Reason: a page is written
again whenever the study has grown, and its pictures take all of its time. Rejected: to take the
pictures out of the old page. Revisit if the pictures come to depend on the study.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.files import replacing, writing_fault
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import figures_folder, scan_output
from bids_harmonize.config import settings_hash
from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.report.figures import (
    BRAIN_COLOUR,
    GREY_COLOUR,
    HEAD_COLOUR,
    WHITE_COLOUR,
    draw_histogram,
)
from bids_harmonize.report.mosaic import (
    PLANES,
    Outline,
    choose_slices,
    display_window,
    draw_mosaic,
)
from bids_harmonize.report.scan_images import ScanImages

DRAWING_VERSION = 1
"""Goes up when a picture's look changes, so that old ones are drawn again."""

PICTURES = ("mosaic", "raw", "conformed", "harmonized", "tissue", "intensities", "bias")
"""What a scan can have, in the order of the page."""

N_SLICES_PAIR = 3
N_SLICES_TISSUE = 5
TISSUE_KEYS = ("gm", "wm", "csf")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


def raw_figure(output_dir: Path, stem: str) -> Path:
    """Where the picture of a raw image lies."""
    return _figure(output_dir, stem, "raw")


def draw_raw(images: ScanImages, volume: np.ndarray, affine: np.ndarray) -> bytes:
    """PNG of the raw image in the planes in which :func:`scan_pictures` shows it after conform.

    Parameters
    ----------
    images
        Of the same scan, conformed; a scan without them is shown by evenly spaced slices.
    volume, affine
        The raw image with its axes in the order of RAS+.

    Returns
    -------
    bytes
        PNG.
    """
    cuts, window = None, None
    if images.file("preproc") is not None:
        cuts, window = matched_cuts(images, volume.shape, affine), images.window
    return draw_mosaic(
        volume,
        voxel_sizes_mm=voxel_size_mm(affine),
        n_slices=N_SLICES_PAIR,
        cuts=cuts,
        window=window,
    )


def matched_cuts(images: ScanImages, shape: Sequence[int], affine: np.ndarray) -> list[np.ndarray]:
    """Slices of the raw image that lie where the conformed image is cut.

    Parameters
    ----------
    images
        Of the conformed scan.
    shape, affine
        Of the raw image, its axes in the order of RAS+; an oblique one is cut along its own axes.

    Returns
    -------
    list of np.ndarray
        Indices of each plane of ``PLANES``.
    """
    volume, study = images.preproc
    middle = np.argwhere(images.focus).mean(axis=0)
    cuts = []
    for plane in PLANES:
        axis = _AXES[plane]
        indices = choose_slices(images.focus, volume.shape, plane, N_SLICES_PAIR)
        points = np.repeat(middle[:, None], len(indices), axis=1)
        points[axis] = indices
        world = study[:3, :3] @ points + study[:3, 3:]
        native = np.linalg.solve(affine[:3, :3], world - affine[:3, 3:])[axis]
        cuts.append(np.clip(np.rint(native), 0, shape[axis] - 1).astype(int))
    return cuts


def scan_pictures(output_dir: Path, stem: str, sidecar: Mapping[str, Any]) -> dict[str, bytes]:
    """PNG of every picture that the scan's files allow, by name.

    Parameters
    ----------
    output_dir
        Root of the derivative; new pictures are kept in the session's ``figures``.
    stem
        Name of the scan.
    sidecar
        Of the preprocessed image.

    Returns
    -------
    dict
        ``mosaic``, ``conformed`` and ``intensities`` always; ``raw``, ``tissue`` and ``bias``
        where their files stand, and ``harmonized`` where there is such an image.

    Raises
    ------
    OutputError, StorageError
        If a picture cannot be kept, or one that shows nothing any more cannot be removed.
    """
    images = ScanImages(output_dir, stem)
    drawings: dict[str, tuple[Callable[[ScanImages], bytes], Sequence[str]]] = {
        "mosaic": (_outlines, ()),
        "conformed": (_conformed, ()),
        "intensities": (_histogram, ()),
        "tissue": (_tissue, TISSUE_KEYS),
        "bias": (_bias, ("bias_field",)),
    }
    parts = (DRAWING_VERSION, sidecar["InputSha256"], sidecar["SettingsHash"])
    mark = settings_hash(*parts, sidecar["SoftwareVersion"])
    pictures = {}
    for name, (draw, needs) in drawings.items():
        if all(images.file(key) is not None for key in needs):
            pictures[name] = _kept(images, name, draw, mark=mark)
        else:  # the picture of files that another setting once made
            _drop(_figure(output_dir, stem, name))
    if images.harmonized is None:
        _drop(_figure(output_dir, stem, "harmonized"))
    else:
        path, made = images.harmonized
        keys = ("InputSha256", "HarmonizationModelSha256", "SoftwareVersion")
        pictures["harmonized"] = _kept(
            images,
            "harmonized",
            lambda shown: _harmonized(shown, path),
            mark=settings_hash(DRAWING_VERSION, *(made.get(key) for key in keys)),
        )
    raw = raw_figure(output_dir, stem)
    if raw.is_file():
        pictures["raw"] = raw.read_bytes()
    return pictures


def relative_widths(pictures: Mapping[str, bytes], names: Sequence[str]) -> dict[str, int]:
    """Width of each picture in per cent of the widest: equal millimetres look equally long.

    Parameters
    ----------
    pictures
        Name to PNG.
    names
        Those that stand side by side; what is not there is left out.

    Returns
    -------
    dict
        Name to per cent, 1 to 100.
    """
    pixels = {
        name: int.from_bytes(pictures[name][16:20], "big") for name in names if name in pictures
    }
    return {name: round(100 * width / max(pixels.values())) for name, width in pixels.items()}


def _figure(output_dir: Path, stem: str, name: str) -> Path:
    kind = "histogram" if name == "intensities" else "mosaic"
    label = "outlines" if name == "mosaic" else name
    return figures_folder(output_dir, stem) / f"{stem}_desc-{label}_{kind}.png"


def _kept(
    images: ScanImages, name: str, draw: Callable[[ScanImages], bytes], *, mark: str
) -> bytes:
    """The picture from disk if it shows the files as they are now, else a new one."""
    path = _figure(images.output_dir, images.stem, name)
    shown = ("preproc", "head_mask", "brain_mask", *TISSUE_KEYS, "bias_field")
    files = [file for key in shown if (file := images.file(key)) is not None]
    if name == "harmonized" and images.harmonized is not None:
        files.append(images.harmonized[0])
    if path.is_file() and path.stat().st_mtime >= max(file.stat().st_mtime for file in files):
        content = path.read_bytes()
        if mark.encode() in content[-len(_PNG_END) - len(mark) - 40 :]:
            return content
    content = _marked(draw(images), mark)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return content


def _drop(picture: Path) -> None:
    try:
        picture.unlink(missing_ok=True)
    except OSError as error:
        raise writing_fault(error, picture) from error


def _marked(png: bytes, mark: str) -> bytes:
    """The PNG with a text chunk before its end."""
    data = b"tEXtComment\0" + mark.encode()
    chunk = (len(data) - 4).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
    return png.removesuffix(_PNG_END) + chunk + _PNG_END


def _outlines(images: ScanImages) -> bytes:
    outlines = [Outline(images.head, HEAD_COLOUR)]
    if images.brain is not None:
        outlines.append(Outline(images.brain, BRAIN_COLOUR))
    return draw_mosaic(
        images.preproc[0],
        voxel_sizes_mm=images.sizes_mm,
        outlines=outlines,
        focus=images.focus,
        window=images.window,
    )


def _conformed(images: ScanImages) -> bytes:
    return draw_mosaic(
        images.preproc[0],
        voxel_sizes_mm=images.sizes_mm,
        focus=images.focus,
        n_slices=N_SLICES_PAIR,
        window=images.window,
    )


def _harmonized(images: ScanImages, path: Path) -> bytes:
    """The places of :func:`_conformed`, in a window of its own.

    The unit is the reference site's: one window for both would show nothing but the unit.
    """
    volume, _ = read_image(path)
    return draw_mosaic(
        volume,
        voxel_sizes_mm=images.sizes_mm,
        focus=images.focus,
        n_slices=N_SLICES_PAIR,
        window=display_window(volume),
    )


def _histogram(images: ScanImages) -> bytes:
    volume = images.preproc[0]
    values = {"head": volume[images.head]}
    if images.brain is not None:
        values["brain"] = volume[images.brain]
    return draw_histogram(values, label="intensity (native units)")


def _tissue(images: ScanImages) -> bytes:
    """White matter's edge, and that of grey and white matter together."""
    grey, white = (_read(images, key) for key in ("gm", "wm"))
    return draw_mosaic(
        images.preproc[0],
        voxel_sizes_mm=images.sizes_mm,
        outlines=[Outline(grey + white, GREY_COLOUR), Outline(white, WHITE_COLOUR)],
        focus=images.focus,
        n_slices=N_SLICES_TISSUE,
        window=images.window,
    )


def _bias(images: ScanImages) -> bytes:
    field = _read(images, "bias_field")
    low, high = np.percentile(field[images.head], (1, 99))
    return draw_mosaic(
        field,
        voxel_sizes_mm=images.sizes_mm,
        focus=images.focus,
        n_slices=N_SLICES_PAIR,
        window=(min(float(low), 0.8), max(float(high), 1.2)),
    )


def _read(images: ScanImages, key: str) -> np.ndarray:
    return read_image(scan_output(images.output_dir, images.stem, key))[0]
