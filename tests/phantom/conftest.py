"""Small phantoms that several tests share; none is changed by a test."""

import pytest

from bids_harmonize.phantom import PRESETS, Person, Scanner, make_person, make_scanners
from bids_harmonize.phantom.study import StudyTruth, write_study


@pytest.fixture(scope="package")
def person_3mm() -> Person:
    return make_person(0, "somebody", base_mm=3.0)


@pytest.fixture(scope="package")
def scanners_mixed_6mm() -> tuple[Scanner, ...]:
    return make_scanners(PRESETS["mixed"], n_sites=5, resolution_mm=6.0, seed=0)


@pytest.fixture(scope="package")
def scanner_6mm() -> Scanner:
    return make_scanners(PRESETS["default"], n_sites=1, resolution_mm=6.0, seed=0)[0]


@pytest.fixture(scope="package")
def study_6mm(tmp_path_factory: pytest.TempPathFactory) -> StudyTruth:
    """Mixed scanners: 2 sites with 1 control and 2 cases each, 1 travelling subject."""
    return write_study(
        tmp_path_factory.mktemp("phantom") / "study",
        preset="mixed", n_per_site=1, n_travelling=1, n_cases=2, resolution_mm=6.0,
        noise_free=True,
    )  # fmt: skip
