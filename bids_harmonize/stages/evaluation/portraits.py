"""Brains on the template, and who is recognised by them among other people.

Every brain is laid on the template by its scan's own affine, which takes size and pose away, at
4 mm, where scanners differ least in sharpness; what is left to tell people apart is shape. The
person with the highest correlation is the one recognised. One's own scan gains nothing by being
one's own: no pair is registered to each other. Rejected: a rigid registration of every pair
(people times people of them), a network's embedding (it would have to be trained on somebody).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.atlases.templates import load_template
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.study import Study
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.imaging.types import Volume
from bids_harmonize.stages.classification.maps import has_template_transform, template_to_scan
from bids_harmonize.stages.evaluation.comparison import CEILING, DIRECT
from bids_harmonize.stages.evaluation.pairs import ScanImages, read_scan_images

DIRECTION_COLUMNS = ("method", "source_site", "target_site")
MOST_OTHERS = 40
"""Other people of the target site among whom a travelling subject must be found."""

_PERSON_COLUMNS = ("participant_id", "gallery", "found", "within", "between", "nearer")
_PORTRAIT_MM = 4.0
_LEAST_GALLERY = 2  # oneself and somebody else
_HALF = 0.5

Portrait = np.ndarray  # float32 (voxels of the template's brain,), mean 0, length 1


class Portraits:
    """Brains on the template, as every method shows them.

    Parameters
    ----------
    study
        The study; scans without an affine to the template are passed over.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        template = load_template(max(_PORTRAIT_MM, study.voxel_size_mm))
        i, j, k = template.brain_mask.shape
        self._grid = Grid(shape=(i, j, k), affine=template.affine)
        self._brain = template.brain_mask
        self._made: dict[tuple[str, str], dict[str, tuple[DerivedScan, Portrait]]] = {}

    def add(self, method: str, images: ScanImages, to_site: str, volume: Volume) -> None:
        """Keep what a method made of a scan.

        Parameters
        ----------
        method
            Its name.
        images
            The scan.
        to_site
            The site whose look it was given.
        volume
            The result on the scan's grid, rescaled by its own percentiles, 0 outside the head.
        """
        if has_template_transform(self._study, images.scan):
            own = self._made.setdefault((method, to_site), {})
            own[images.scan.stem] = (images.scan, self._portrait(images, volume))

    def recognise(self, *, kind: str) -> pd.DataFrame:
        """Look for every travelling subject among the people of another site.

        Parameters
        ----------
        kind
            ``direct``: harmonized scans of a source site among real ones at the reference;
            ``agreement``: among harmonized ones of another source site.

        Returns
        -------
        DataFrame
            One row a method, direction and person: gallery (people looked through), found,
            within (1 - correlation with the person's own scan), between (mean over others),
            nearer (share of others who are further away).
        """
        rows = list(self._direct() if kind == DIRECT else self._agreement())
        return pd.DataFrame(rows, columns=[*DIRECTION_COLUMNS, *_PERSON_COLUMNS])

    def _direct(self) -> Iterator[dict[str, object]]:
        study = self._study
        reference = study.reference_site
        gallery, seconds = self._real_people(reference)
        for method, found in self._by_method(reference):
            for site in sorted({scan.site for scan, _ in found} - {reference}):
                probes = {scan.participant_id: own for scan, own in found if scan.site == site}
                yield from _look(probes, gallery, (method, site, reference))
        yield from _look(seconds, gallery, (CEILING, reference, reference))

    def _agreement(self) -> Iterator[dict[str, object]]:
        for method, found in self._by_method(self._study.reference_site):
            people: dict[str, dict[str, Portrait]] = {}
            for scan, own in found:
                people.setdefault(scan.site, {})[scan.participant_id] = own
            sites = sorted(people)
            for n, source in enumerate(sites):
                for target in sites[n + 1 :]:
                    yield from _look(people[source], people[target], (method, source, target))

    def _by_method(self, to_site: str) -> Iterator[tuple[str, list[tuple[DerivedScan, Portrait]]]]:
        for (method, site), found in sorted(self._made.items()):
            if site == to_site:
                yield method, list(found.values())

    def _real_people(self, site: str) -> tuple[dict[str, Portrait], dict[str, Portrait]]:
        """First scans of the people of a site, and second ones of those who travel."""
        first: dict[str, Portrait] = {}
        second: dict[str, Portrait] = {}
        n_others = 0
        for scan in self._study.of_site(site):
            person = scan.participant_id
            travels = person in self._study.travelling
            if person in (second if travels else first) or not scan.usable:
                continue
            if not travels and n_others == MOST_OTHERS:
                continue
            own = self._real(scan)
            if own is None:
                continue
            n_others += not travels
            (second if person in first else first)[person] = own
        return first, second

    def _real(self, scan: DerivedScan) -> Portrait | None:
        """A scan as it is; ``None`` where it cannot be laid on the template."""
        if not has_template_transform(self._study, scan):
            return None
        try:
            images = read_scan_images(scan)
            volume = images.rescaled(images.volume, self._study.scaling_mask)
        except ScanError:
            return None  # the stages that need the scan itself report it
        return self._portrait(images, volume)

    def _portrait(self, images: ScanImages, volume: Volume) -> Portrait:
        moved = resample_through(
            volume,
            images.affine,
            template_to_scan(self._study, images.scan),
            self._grid,
            interpolation="linear",
        )[self._brain].astype(np.float32)
        moved -= moved.mean()
        length = float(np.linalg.norm(moved))
        return moved / length if length > 0 else moved


def _look(
    probes: Mapping[str, Portrait], gallery: Mapping[str, Portrait], direction: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """One row a person who is in both; a person alone in the gallery is no question."""
    names = sorted(gallery)
    if len(names) < _LEAST_GALLERY:
        return
    portraits = np.stack([gallery[name] for name in names])  # (people, voxels)
    for person in sorted(set(probes) & set(names)):
        distances = 1 - portraits @ probes[person]
        own = float(distances[names.index(person)])
        others = np.delete(distances, names.index(person))
        yield {
            **dict(zip(DIRECTION_COLUMNS, direction, strict=True)),
            "participant_id": person,
            "gallery": len(names),
            "found": float(own < others.min()),
            "within": own,
            "between": float(others.mean()),
            "nearer": float((others > own).mean() + _HALF * (others == own).mean()),
        }
