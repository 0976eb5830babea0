"""What a harmonized image's sidecar says, and whether an image that stands is still right."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.provenance import bids_uri, file_sha256
from bids_harmonize.bids.sidecars import read_json, sidecar_path
from bids_harmonize.errors import ScanError
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.card_localhistogram import CARDS

# Facts of the preprocessing of an image that do not hold for the harmonized one.
_NOT_CARRIED = (
    "Description", "Sources", "QualityMeasures", "NativeGrid", "Settings", "SettingsHash",
    "InputSha256", "SoftwareVersion", "RunId", "Flags",
)  # fmt: skip


@dataclass(frozen=True)
class ImageMaker:
    """What makes images of one dataset, and what their sidecars say of it.

    Attributes
    ----------
    output_dir
        Root of the derivative.
    harmonizer
        A fitted one.
    folder_name
        Name of its folder, for instance ``cyclegan_to-SiteA``.
    model
        Its ``model.json``.
    run_id
        Stands in the sidecars; ``None`` at participant level, where jobs leave equal bytes.
    """

    output_dir: Path
    harmonizer: Harmonizer
    folder_name: str
    model: Mapping[str, Any]
    run_id: str | None

    @property
    def reference_site(self) -> str:
        """The site that images are brought to."""
        return self.harmonizer.frame.reference_site

    def image(self, scan: DerivedScan) -> Path:
        """Where the harmonized image of a scan lies or will lie."""
        return scan_output(self.output_dir, scan, "harmonized", reference=self.reference_site)


def make_sidecar(
    maker: ImageMaker, scan: DerivedScan, *, sha256: str, distance: float | None
) -> dict[str, Any]:
    """Metadata of a harmonized image; the acquisition's are carried over.

    Parameters
    ----------
    maker
        What made the image.
    scan
        The preprocessed scan.
    sha256
        Of the preprocessed image.
    distance
        Of the scan from the training sites; ``None`` if the harmonizer does not know it.

    Returns
    -------
    dict
        Whole: nothing is left to inheritance.
    """
    harmonizer, model, reference_site = maker.harmonizer, maker.model, maker.reference_site
    own = sidecar_path(scan.t1w)
    source = read_json(own) if own.is_file() else {}
    carried = {key: value for key, value in source.items() if key not in _NOT_CARRIED}
    is_reference = scan.site == reference_site
    masks = _masks(scan)
    method = "scaling" if is_reference else harmonizer.method(scan.site)
    return {
        "SkullStripped": False,
        **carried,
        "Description": (
            f"Preprocessed image as if it came from {harmonizer.frame.reference_words}, in its "
            "intensity scale; outside the head equal to the preprocessed image."
        ),
        "Sources": [bids_uri(path, maker.output_dir) for path in (scan.t1w, *masks)],
        "Site": scan.site,
        "HarmonizationUnseenSite": scan.site not in harmonizer.frame.sites,
        **({} if distance is None else {"HarmonizationDistance": round(distance, 4)}),
        "HarmonizationReference": reference_site,
        "Harmonizer": harmonizer.name,
        "HarmonizationMethod": method,
        "HarmonizationModel": maker.folder_name,
        "HarmonizationModelSha256": model["sha256"],
        "HarmonizationFingerprint": model["fingerprint"],
        "SettingsHash": model["settings_hash"],
        "RandomSeed": model["random_seed"],
        **_card_facts(model),
        "MaskDoubtful": not scan.usable,
        "InputSha256": sha256,
        "MaskSha256": [file_sha256(mask) for mask in masks],
        "SoftwareVersion": __version__,
        **({} if maker.run_id is None else {"RunId": maker.run_id}),
    }


def _card_facts(model: Mapping[str, Any]) -> dict[str, Any]:
    """Which cards stood in for the reference's images, where there were any."""
    cards = model["learnt"].get(CARDS)
    if not cards:
        return {}
    return {
        "ReferenceCards": [
            {"Site": card["site"], "Sha256": card["sha256"], "Participants": card["n_people"]}
            for card in cards
        ]
    }


def is_current(maker: ImageMaker, scan: DerivedScan, *, sha256: str) -> bool:
    """Whether a scan's image stands, made by this model from this image, masks and site.

    Parameters
    ----------
    maker
        What would make the image.
    scan
        The preprocessed scan.
    sha256
        Of the preprocessed image, as it is now.

    Returns
    -------
    bool
        ``False`` too where its sidecar cannot be read.
    """
    image = maker.image(scan)
    sidecar = sidecar_path(image)
    if not (image.is_file() and sidecar.is_file()):
        return False
    try:
        found = read_json(sidecar)
        masks = [file_sha256(mask) for mask in _masks(scan)]
    except ScanError:
        return False
    wanted = {
        "HarmonizationModelSha256": maker.model["sha256"],
        "HarmonizationFingerprint": maker.model["fingerprint"],
        "InputSha256": sha256,
        "MaskSha256": masks,
        "Site": scan.site,
    }
    return all(found.get(key) == value for key, value in wanted.items())


def _masks(scan: DerivedScan) -> list[Path]:
    return [mask for mask in (scan.head_mask, scan.brain_mask) if mask is not None]
