"""Names of everything the app writes; nobody else spells a file name.

Site names go into file names as labels of letters and digits only; the real name stands in the
sidecars. Two sites whose labels differ by nothing but case are refused, because some file systems
cannot tell them apart.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from bids_harmonize.bids.outputs import (
    BIDSIGNORE,
    DESCRIPTIONS,
    OUTPUTS,
    TEMPLATE_SPACE,
    Level,
    OutputRow,
    participant_keys,
)
from bids_harmonize.errors import SiteError

__all__ = [
    "BIDSIGNORE",
    "DESCRIPTIONS",
    "OUTPUTS",
    "TEMPLATE_SPACE",
    "HasStem",
    "OutputRow",
    "check_site_labels",
    "card_folder",
    "citation_file",
    "classifier_folder",
    "classifier_in",
    "combat_folder",
    "crash_file",
    "features_crash_file",
    "group_crash_file",
    "figures_folder",
    "group_output",
    "group_page",
    "harmonizer_folder",
    "participant_keys",
    "participant_page",
    "scan_output",
    "scans_table",
    "site_label",
    "site_output",
    "stem_folder",
    "template_output",
]


class HasStem(Protocol):
    """Anything that carries the source entities of a scan, such as ``sub-01_ses-A_run-1``."""

    @property
    def stem(self) -> str:
        """Name of the scan without suffix and extension."""
        ...


def site_label(site: str) -> str:
    """The site's label in file names: its letters and digits.

    Parameters
    ----------
    site
        The site's real name.

    Returns
    -------
    str
        Letters and digits only.

    Raises
    ------
    SiteError
        If nothing is left of the name.

    Examples
    --------
    >>> site_label("Site A")
    'SiteA'
    """
    label = re.sub(r"[^A-Za-z0-9]", "", site)
    if not label:
        message = (
            f"site {site!r} has no ASCII letter or digit, so it cannot stand in a file name; "
            "give it another name with --site-map"
        )
        raise SiteError(message)
    return label


def check_site_labels(sites: Iterable[str]) -> dict[str, str]:
    """The label of each site, once it is sure that no two are alike.

    Parameters
    ----------
    sites
        Real names.

    Returns
    -------
    dict
        Site to label.

    Raises
    ------
    SiteError
        If two labels are equal, or differ by case only.
    """
    labels: dict[str, str] = {}
    taken: dict[str, str] = {}
    for site in sorted(set(sites)):
        label = site_label(site)
        other = taken.setdefault(label.lower(), site)
        if other != site:
            message = (
                f"sites {other!r} and {site!r} would have the same label {label!r} in file names; "
                "rename one with --site-map"
            )
            raise SiteError(message)
        labels[site] = label
    return labels


def stem_folder(stem: str) -> Path:
    """Folder of a scan's participant and session, relative to the dataset.

    Parameters
    ----------
    stem
        Source entities, for instance ``sub-01_ses-A_run-1``.

    Returns
    -------
    Path
        ``sub-01/ses-A``, or ``sub-01`` without sessions.
    """
    parts = stem.split("_")
    folder = Path(parts[0])
    return folder / parts[1] if len(parts) > 1 and parts[1].startswith("ses-") else folder


def scan_output(
    output_dir: Path, scan: str | HasStem, output: str, *, reference: str | None = None
) -> Path:
    """Path of one output of one scan.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    scan
        The scan, or its stem (``sub-01_ses-A_run-1``).
    output
        A key of :data:`OUTPUTS` with level ``scan``.
    reference
        Real name of the reference site, for outputs that carry it.

    Returns
    -------
    Path
        Where the file is or will be.

    Raises
    ------
    ValueError
        If the key is unknown, or ``reference`` is missing or not wanted.

    Examples
    --------
    >>> str(scan_output(Path("out"), "sub-01_run-1", "harmonized", reference="Site B"))
    'out/sub-01/anat/sub-01_run-1_desc-harmonizedSiteB_T1w.nii.gz'
    """
    stem = scan if isinstance(scan, str) else scan.stem
    pattern = _pattern(output, level="scan")
    if ("{reference}" in pattern) != (reference is not None):
        message = f"output {output!r}: reference is {reference!r}, its name is {pattern!r}"
        raise ValueError(message)
    if reference is not None:
        pattern = pattern.format(reference=site_label(reference))
    return output_dir / stem_folder(stem) / "anat" / f"{stem}{pattern}"


def site_output(output_dir: Path, site: str, output: str) -> Path:
    """Path of one output of one site, in ``tpl-<Site>/anat``; ``site`` is the real name."""
    label = site_label(site)
    name = f"tpl-{label}{_pattern(output, level='site')}"
    return output_dir / f"tpl-{label}" / "anat" / name


def template_output(output_dir: Path, output: str) -> Path:
    """Path of a map of the whole study, in the folder of the template that it lies on."""
    return site_output(output_dir, TEMPLATE_SPACE, output)


def group_output(output_dir: Path, output: str) -> Path:
    """Path of a table of the group level, for instance ``group_methods``."""
    return output_dir / _pattern(output, level="group")


def scans_table(output_dir: Path, scan: str | HasStem) -> Path:
    """Path of the table with one row for each scan of this scan's session."""
    folder = stem_folder(scan if isinstance(scan, str) else scan.stem)
    return output_dir / folder / f"{'_'.join(folder.parts)}_scans.tsv"


def figures_folder(output_dir: Path, scan: str | HasStem) -> Path:
    """Folder of the figures of this scan's session."""
    return output_dir / stem_folder(scan if isinstance(scan, str) else scan.stem) / "figures"


def crash_file(output_dir: Path, scan: str | HasStem, run_id: str) -> Path:
    """Path of the report on why this scan failed in this run."""
    stem = scan if isinstance(scan, str) else scan.stem
    return output_dir / stem.split("_")[0] / "log" / run_id / f"crash-{stem}.txt"


def group_crash_file(output_dir: Path, scan: str | HasStem, run_id: str) -> Path:
    """Path of the report on why the group level could not harmonize this scan in this run.

    Its name is another than :func:`crash_file`'s: a participant run must neither take it for its
    own nor remove it.
    """
    own = crash_file(output_dir, scan, run_id)
    return own.with_name(f"group-{own.name}")


def features_crash_file(output_dir: Path, scan: str | HasStem, run_id: str) -> Path:
    """Path of the report on why the stage ``features`` could not measure this scan."""
    own = crash_file(output_dir, scan, run_id)
    return own.with_name(f"features-{own.name}")


def citation_file(output_dir: Path) -> Path:
    """Path of what each level did, in words for a paper."""
    return output_dir / "logs" / "CITATION.md"


def participant_page(output_dir: Path, participant_id: str) -> Path:
    """Path of a participant's page; ``participant_id`` starts with ``sub-``."""
    return output_dir / f"{participant_id}.html"


def group_page(output_dir: Path) -> Path:
    """Path of the group's page."""
    return output_dir / "group.html"


def card_folder(output_dir: Path, site: str) -> Path:
    """Folder of a site's reference card; ``site`` is its real name."""
    return output_dir / "models" / f"card_{site_label(site)}"


def classifier_folder(output_dir: Path) -> Path:
    """Folder of the site classifier's model."""
    return output_dir / "models" / "classifier"


def combat_folder(output_dir: Path) -> Path:
    """Folder of the ComBat of the table of features."""
    return output_dir / "models" / "combat"


def classifier_in(model_dir: Path) -> Path | None:
    """Folder of the site classifier in a folder of models, or that folder itself.

    Parameters
    ----------
    model_dir
        ``models`` of some run, or ``models/classifier``.

    Returns
    -------
    Path or None
        ``None`` if there is none in it.
    """
    for folder in (model_dir / "classifier", model_dir):
        if (folder / "model.json").is_file():
            return folder
    return None


def harmonizer_folder(output_dir: Path, harmonizer: str, reference: str) -> Path:
    """Folder of a harmonizer's model; ``reference`` is the real name of the site."""
    return output_dir / "models" / f"{harmonizer}_to-{site_label(reference)}"


def _pattern(output: str, *, level: Level) -> str:
    known = [key for key, row in OUTPUTS.items() if row.level == level]
    if output not in known:
        message = f"unknown output {output!r}; available: {', '.join(known)}"
        raise ValueError(message)
    return OUTPUTS[output].pattern
