"""Synthetic multi-site studies with known truth: heads, scanners, disorder, dataset."""

from bids_harmonize.phantom.acquisition import (
    Session,
    Simulation,
    TruthMasks,
    acquire,
    draw_session,
    simulate,
    truth_on_grid,
)
from bids_harmonize.phantom.person import Person, Traits, draw_traits, make_person
from bids_harmonize.phantom.presets import PRESETS, Preset
from bids_harmonize.phantom.scanner import Scanner, make_scanners, site_names
from bids_harmonize.phantom.tissues import TISSUES

__all__ = [
    "PRESETS",
    "Person",
    "Preset",
    "Scanner",
    "Session",
    "Simulation",
    "TISSUES",
    "Traits",
    "TruthMasks",
    "acquire",
    "draw_session",
    "draw_traits",
    "make_person",
    "make_scanners",
    "simulate",
    "site_names",
    "truth_on_grid",
]
