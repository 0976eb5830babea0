"""Which methods a run fits, and with which settings."""

from typing import Any

from bids_harmonize.config import MEDIAN_REFERENCE, Settings
from bids_harmonize.harmonizers import HARMONIZERS, check_harmonizer_settings
from bids_harmonize.harmonizers.card_localhistogram import WITHOUT_IMAGES


def names_to_fit(settings: Settings) -> tuple[str, ...]:
    """Every method without training, ``localhistogram``, and the chosen one last.

    With a reference card only those that need no image of the reference; with a virtual one only
    those that need no adversary.
    """
    if settings.group.reference_card:
        return WITHOUT_IMAGES
    simple = [row.name for row in HARMONIZERS.values() if not row.trained]
    if settings.site.reference_site == MEDIAN_REFERENCE:
        return (*simple, "localhistogram")
    return tuple(dict.fromkeys((*simple, "localhistogram", settings.group.harmonizer)))


def harmonizer_settings(settings: Settings, name: str) -> dict[str, Any]:
    """Complete settings of a method; the user's are for the chosen one alone."""
    own = settings.harmonizer if name == settings.group.harmonizer else {}
    return check_harmonizer_settings(name, own)
