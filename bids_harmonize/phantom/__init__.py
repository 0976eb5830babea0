"""Synthetic multi-site studies with known truth: heads, scanners, disorder, dataset."""

from bids_harmonize.phantom.acquisition import (
    Simulation,
    TruthMasks,
    acquire,
    simulate,
    truth_at_rest,
    truth_on_grid,
)
from bids_harmonize.phantom.design import PlannedPerson, StudyDesign, plan_people
from bids_harmonize.phantom.person import Person, Traits, draw_traits, make_person
from bids_harmonize.phantom.presets import PRESETS, Preset
from bids_harmonize.phantom.scanner import Scanner, make_scanners, site_names
from bids_harmonize.phantom.session import Session, draw_session
from bids_harmonize.phantom.study import ScanTruth, StudyTruth, write_study
from bids_harmonize.phantom.tissues import TISSUES

__all__ = [
    "PRESETS",
    "Person",
    "PlannedPerson",
    "Preset",
    "ScanTruth",
    "Scanner",
    "Session",
    "Simulation",
    "StudyDesign",
    "StudyTruth",
    "TISSUES",
    "Traits",
    "TruthMasks",
    "acquire",
    "draw_session",
    "draw_traits",
    "make_person",
    "make_scanners",
    "plan_people",
    "simulate",
    "site_names",
    "truth_at_rest",
    "truth_on_grid",
    "write_study",
]
