"""The imitation slope: 0 for who copies nothing, 1 for who copies the confound."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from bids_harmonize.phantom import PRESETS, make_person, make_scanners
from bids_harmonize.phantom.design import PlannedPerson
from bids_harmonize.phantom.template import head_template
from tests.benchmarks.imitation import (
    CONFOUNDS,
    calibrate,
    imitation,
    matched,
    size_in_images,
    unharmonized,
)
from tests.benchmarks.phantom_scans import (
    PhantomScan,
    in_person,
    scan_person,
    study_session,
    true_volumes,
)
from tests.benchmarks.structure_volumes import measure

SEED, MM, BASE_MM = 3, 6.0, 4.0
LABELS = ("p1", "p2")


@dataclass(frozen=True)
class Study:
    """The same people without and with each confound, at the source and at the reference."""

    scans: dict[tuple[str, str], list[PhantomScan]]
    true: dict[str, list[dict[str, float]]]

    def sizes(self, confound: str, structure: str) -> tuple[float, float]:
        plain, planted = self.scans["none", "SiteB"], self.scans[confound, "SiteB"]
        return (
            size_in_images(structure, plain, planted),
            size_in_images(structure, plain, planted, same_thresholds=True),
        )


class Shows:
    """A harmonizer that returns prepared images, by the scan that it is given."""

    def __init__(self, scans, images):
        self.known = list(zip(scans, images, strict=True))

    def transform(self, volume, *, site, to_site=None, head_mask, brain_mask):
        (image,) = (i for s, i in self.known if np.array_equal(unharmonized(s), volume))
        return image


@pytest.fixture(scope="module")
def study() -> Study:
    scanners = make_scanners(PRESETS["default"], n_sites=2, resolution_mm=MM, seed=SEED)
    kinds = {"none": None, **{confound.name: confound for confound in CONFOUNDS}}
    scans, true = {}, {}
    for kind, confound in kinds.items():
        for label in LABELS:
            head = make_person(SEED, label, base_mm=BASE_MM)
            if confound is not None:
                traits = confound.planted(head.traits, confound.first)
                head = make_person(SEED, label, traits=traits, base_mm=BASE_MM)
            true.setdefault(kind, []).append(true_volumes(head))
            for scanner in scanners:
                session = study_session(SEED, label, scanner.name)
                own = scans.setdefault((kind, scanner.name), [])
                plain = scans["none", scanner.name]
                found = scan_person(
                    head,
                    scanner,
                    session,
                    participant_id=f"sub-{label}",
                    resolution_mm=MM,
                    grid=None if kind == "none" else plain[len(own)].grid,
                )
                own.append(found)
    return Study(scans, true)


def _cheat(study: Study, kind: str, share: float) -> list[np.ndarray]:
    """Images of the source on their way to those of the same people with the confound."""
    return [
        (1 - share) * unharmonized(plain) + share * unharmonized(planted)
        for plain, planted in zip(
            study.scans["none", "SiteA"], study.scans[kind, "SiteA"], strict=True
        )
    ]


def test_who_changes_nothing_has_slope_0(study):
    scans = study.scans["none", "SiteA"]
    identity = Shows(scans, [unharmonized(scan) for scan in scans])
    found = imitation("ventricles", scans, identity, identity, sizes=(0.2, 0.2), seed=0)
    assert set(found) == {"slope", "fixed", "raw", "raw_plain"}
    for slope in found.values():
        assert (slope.mean, slope.low, slope.high, slope.n) == (0, 0, 0, 2)


@pytest.mark.parametrize("confound", CONFOUNDS, ids=lambda confound: confound.name)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_who_copies_the_confound_has_the_slope_of_what_is_copied(study, confound, share):
    scans = study.scans["none", "SiteA"]
    identity = Shows(scans, [unharmonized(scan) for scan in scans])
    cheater = Shows(scans, _cheat(study, confound.name, share))
    own, same = sizes = study.sizes(confound.name, confound.structure)
    assert np.sign(own) == np.sign(same) == np.sign(confound.change)
    assert abs(same) > 0.03
    found = imitation(confound.structure, scans, identity, cheater, sizes=sizes, seed=0)
    assert found["slope"].mean == pytest.approx(share, abs=0.2)
    assert found["fixed"].mean == pytest.approx(share, abs=0.2)
    assert found["raw"].mean == pytest.approx(found["slope"].mean, abs=1e-6)


def test_a_change_of_contrast_alone_is_no_imitation_by_the_images_own_thresholds(study):
    scans = study.scans["none", "SiteA"]
    identity = Shows(scans, [unharmonized(scan) for scan in scans])
    darker = Shows(scans, [0.9 * unharmonized(scan) for scan in scans])
    found = imitation("ventricles", scans, identity, darker, sizes=(0.2, 0.2), seed=0)
    assert found["slope"].mean == pytest.approx(0, abs=1e-3)
    assert found["fixed"].mean > 0.3  # darker looks like more fluid


def test_the_trait_is_set_so_that_the_true_volume_changes_by_what_is_wanted(study):
    head = make_person(SEED, LABELS[0], base_mm=BASE_MM)
    people = [PlannedPerson(LABELS[0], "SiteB", "control", head.traits)]
    shift, change = calibrate(CONFOUNDS[1], people, seed=SEED, base_mm=BASE_MM)
    assert change == pytest.approx(-0.10, abs=0.003)
    assert 0.2 < shift < 0.7
    assert study.true["none"][0] == true_volumes(head)


def test_the_ventricles_of_the_truth_grow_and_the_grey_matter_stays(study):
    for plain, planted in zip(study.true["none"], study.true["ventricles"], strict=True):
        assert 1.15 < planted["ventricles"] / plain["ventricles"] < 1.45
        assert planted["gm"] / plain["gm"] == pytest.approx(1, abs=0.01)
        assert 15 < plain["ventricles"] < 90  # mL
        assert 500 < plain["gm"] < 1100


def test_measures_do_not_mind_the_unit_of_the_image(study):
    scan = study.scans["none", "SiteA"][0]
    for structure in ("ventricles", "gm"):
        once = measure(structure, scan, scan.volume)
        assert measure(structure, scan, 3 * scan.volume + 7) == pytest.approx(once, rel=1e-3)


def test_a_map_of_the_template_lands_on_the_persons_anatomy(study):
    head = make_person(SEED, LABELS[0], base_mm=BASE_MM)
    template = head_template(BASE_MM)
    brain = in_person(head, (template.brain_mm < 0).astype(np.float32)) > 0.5
    own = head.fractions[:3].sum(axis=0) > 0.5
    overlap = 2 * (brain & own).sum() / (brain.sum() + own.sum())
    assert overlap > 0.95
    moved = replace(head, displacement_mm=head.displacement_mm + 12)
    assert not np.array_equal(in_person(moved, template.brain_mm), template.brain_mm)


def test_people_are_matched_each_once():
    wanted = [0.50, 0.52, 0.55]
    pool = [0.40, 0.51, 0.53, 0.41, 0.56, 0.45]
    assert matched(wanted, pool) == (1, 2, 4)
