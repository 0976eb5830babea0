"""A two-site study of real heads: each is scanned again by the simulated scanners.

Starting point is a derivative dataset of the participant level: volume and masks of real scans.
The people are dealt anew with every seed. As in a phantom study, who travels has a session at each
site with two runs, of which the second gives the scan-rescan ceiling; the others have one scan.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import SimpleITK as sitk

from bids_harmonize.bids.dataset import BIDS_VERSION
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.rawimages import RawImage
from bids_harmonize.bids.scans import require_scan_rows
from bids_harmonize.bids.tables import read_people, write_table
from bids_harmonize.imaging._itk import from_itk_transform
from bids_harmonize.imaging.geometry import invert, voxel_size_mm
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.phantom.images import write_raw_image
from bids_harmonize.phantom.metadata import PARTICIPANT_COLUMNS, SESSION_COLUMNS
from bids_harmonize.phantom.seeds import named_generator
from bids_harmonize.preprocessing.steps import Conformed
from tests.benchmarks.known_derivative import KnownScan, write_known_derivative
from tests.benchmarks.simulated_scanners import CONDITIONS, SITES, draw_session, scan_again

SOURCE = "the real scan"
N_RUNS = 2
_SUFFIX = "_T1w.nii.gz"


@dataclass(frozen=True)
class RealDesign:
    """What is made of the real heads.

    Attributes
    ----------
    condition
        Row of ``CONDITIONS``.
    n_per_site
        People scanned at one site only, per site.
    n_travelling
        People scanned twice at both sites.
    seed
        Deals the people and draws the sessions.
    """

    condition: str = "full"
    n_per_site: int = 12
    n_travelling: int = 8
    seed: int = 0

    @property
    def n_people(self) -> int:
        """How many heads it takes."""
        return len(SITES) * self.n_per_site + self.n_travelling


def deal_people(people: Sequence[str], design: RealDesign) -> dict[str, str | None]:
    """Who is scanned where, by chance.

    Parameters
    ----------
    people
        Participants with a usable real scan.
    design
        How many are wanted.

    Returns
    -------
    dict
        Participant to site, ``None`` for both; the same for the same seed, sorted by participant.

    Raises
    ------
    ValueError
        If there are too few people.
    """
    if len(people) < design.n_people:
        message = f"found {len(people)} people with usable masks; expected {design.n_people}"
        raise ValueError(message)
    order = named_generator(design.seed, "deal").permutation(sorted(people))
    sites = [site for site in SITES for _ in range(design.n_per_site)]
    sites += [None] * design.n_travelling
    return dict(sorted(zip(order.tolist(), sites, strict=False)))


def usable_heads(heads_dir: Path) -> dict[str, str]:
    """Participant to the stem of the scan that is scanned again.

    Parameters
    ----------
    heads_dir
        Root of the real scans' derivative.

    Returns
    -------
    dict
        The first scan of everybody whose masks are beyond doubt.
    """
    rows = [row for row in require_scan_rows(heads_dir) if not row.doubtful]
    return {row.participant_id: row.stem for row in reversed(rows)}


def write_real_study(heads_dir: Path, bids_dir: Path, design: RealDesign) -> int:
    """Write the raw dataset of the simulated scans; an earlier one is replaced.

    Parameters
    ----------
    heads_dir
        Root of the real scans' derivative.
    bids_dir
        Root of the raw dataset to come.
    design
        What is made.

    Returns
    -------
    int
        Number of scans.
    """
    shutil.rmtree(bids_dir, ignore_errors=True)
    heads = usable_heads(heads_dir)
    dealt = deal_people(list(heads), design)
    root = {"Name": f"Real heads, simulated scanners: {design.condition}", "DatasetType": "raw"}
    write_json(bids_dir / "dataset_description.json", {**root, "BIDSVersion": BIDS_VERSION})
    _write_people(heads_dir, bids_dir, dealt)
    n_scans = 0
    for person, site in dealt.items():
        image = read_image(scan_output(heads_dir, heads[person], "preproc"))
        head_mask, _ = read_mask(scan_output(heads_dir, heads[person], "head_mask"))
        brain_mask, _ = read_mask(scan_output(heads_dir, heads[person], "brain_mask"))
        unit = p99_scaling(image[0], brain_mask)
        for path, scanned_at in _scans_of(person, site):
            volume = scan_again(
                unit.apply(image[0]),
                head_mask,
                CONDITIONS[design.condition][SITES.index(scanned_at)],
                draw_session(named_generator(design.seed, "session", path.name)),
                voxel_size_mm=float(voxel_size_mm(image[1])[0]),
            )
            write_raw_image(bids_dir / path, volume, image[1], datatype="float32")
            n_scans += 1
    return n_scans


def write_real_derivative(heads_dir: Path, bids_dir: Path, output_dir: Path) -> int:
    """Write the derivative of a study of :func:`write_real_study`, with the real scans' masks.

    Parameters
    ----------
    heads_dir
        Root of the real scans' derivative.
    bids_dir
        Root of the raw dataset of the simulated scans.
    output_dir
        Root of the derivative; what stands there is removed.

    Returns
    -------
    int
        Number of scans.
    """
    heads = usable_heads(heads_dir)
    _, affine = read_image(scan_output(heads_dir, next(iter(heads.values())), "preproc"))

    def know(scan: Scan, raw: RawImage) -> KnownScan:
        stem = heads[scan.participant_id]
        head_mask, place = read_mask(scan_output(heads_dir, stem, "head_mask"))
        brain, _ = read_mask(scan_output(heads_dir, stem, "brain_mask"))
        transform = scan_output(heads_dir, stem, "xfm_preproc_to_template")
        to_scan = from_itk_transform(sitk.ReadTransform(str(transform)))
        conformed = Conformed(raw.volume, head_mask, place, head_mask)
        return KnownScan(conformed, brain, invert(to_scan))

    return write_known_derivative(
        bids_dir,
        output_dir,
        know,
        resolution_mm=float(voxel_size_mm(affine)[0]),
        source=SOURCE,
    )


def _scans_of(person: str, site: str | None) -> Iterator[tuple[Path, str]]:
    """Every scan's place in the dataset, and the site where it is made."""
    if site is not None:
        yield Path(person) / "anat" / f"{person}{_SUFFIX}", site
        return
    for place in SITES:
        folder = Path(person) / f"ses-{place}" / "anat"
        for run in range(1, N_RUNS + 1):
            yield folder / f"{person}_ses-{place}_run-{run}{_SUFFIX}", place


def _write_people(heads_dir: Path, bids_dir: Path, dealt: Mapping[str, str | None]) -> None:
    """participants.tsv, and the sessions of those who travel."""
    known = read_people(heads_dir / "participants.tsv").reindex(list(dealt))
    table = pd.DataFrame({"participant_id": list(dealt), "site": list(dealt.values())})
    for column in ("age", "sex"):
        table[column] = known[column].to_numpy() if column in known else None
    described = {name: {"Description": _PEOPLE[name]} for name in PARTICIPANT_COLUMNS}
    write_table(bids_dir / "participants.tsv", table, described)
    sessions = pd.DataFrame({"session_id": [f"ses-{site}" for site in SITES], "site": SITES})
    for person in (name for name, site in dealt.items() if site is None):
        write_table(bids_dir / person / f"{person}_sessions.tsv", sessions, SESSION_COLUMNS)


_PEOPLE = {
    "participant_id": "As in the real dataset",
    "site": "Simulated site; n/a: see sessions.tsv",
    "age": "As in the real dataset",
    "sex": "As in the real dataset",
}
