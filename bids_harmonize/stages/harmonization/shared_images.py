"""Harmonized images by all processes of a run, or by workers of the one that there is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages.harmonization.image_jobs import Stored
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker
from bids_harmonize.stages.harmonization.images import Written, write_images

if TYPE_CHECKING:
    from bids_harmonize.training.runtime import Runtime

CPU: Final = torch.device("cpu")


def share_images(
    maker: ImageMaker,
    scans: Sequence[DerivedScan],
    *,
    stored: Stored,
    new: Path,
    resume: bool,
    runtime: "Runtime",
    device: torch.device | None = None,
) -> Written:
    """As :func:`write_images`, with the help of the crew, or of workers on a CPU.

    Parameters
    ----------
    maker
        The chosen harmonizer, fitted.
    scans
        Of sites that it serves.
    stored
        Where it is written now: each process reads it onto its own device.
    new, resume
        As there.
    runtime
        With the crew.
    device
        Where harmonizers work; ``None``: each process's own.

    Returns
    -------
    Written
        Of all processes, those of the first first.

    Raises
    ------
    WorkerError
        If a process is gone; images that are not in their places yet are made again.
    """
    crew = runtime.crew
    if crew.is_alone or len(scans) < crew.size:
        on_cpu = (device or runtime.device).type == "cpu"
        by = stored if on_cpu else None
        return write_images(maker, scans, new=new, resume=resume, stored=by)
    shares = [scans[rank :: crew.size] for rank in range(crew.size)]
    # The harmonizer itself stays here: it lives on this process's device.
    told = replace(maker, harmonizer=None)  # type: ignore[arg-type]
    tasks = [_Share(told, tuple(share), stored.folder, new, resume, device) for share in shares]
    found = crew.each(tasks, runtime)
    return Written(
        waiting=tuple(path for one in found for path in one.waiting),
        kept=tuple(path for one in found for path in one.kept),
        failures=tuple(sorted(words for one in found for words in one.failures)),
        distances={stem: far for one in found for stem, far in one.distances.items()},
    )


@dataclass(frozen=True)
class _Share:
    """The scans of one process, and what it needs to harmonize them."""

    maker: ImageMaker
    scans: tuple[DerivedScan, ...]
    model_folder: Path
    new: Path
    resume: bool
    device: torch.device | None

    def __call__(self, runtime: "Runtime") -> Written:
        harmonizer = load_harmonizer(self.model_folder, device=self.device or runtime.device)
        maker = replace(self.maker, harmonizer=harmonizer)
        return write_images(maker, self.scans, new=self.new, resume=self.resume)
