import pytest

from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.roles import assign_roles
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.bids.study import load_study
from bids_harmonize.config import SiteSettings, make_settings
from bids_harmonize.errors import MissingInputError, SiteError, UnusableDataError, UsageError
from tests.bids.trees import two_sites, write_derivative, write_volume


def load(output_dir, *, seed=0, **site):
    settings = make_settings({"site": site, "run": {"random_seed": seed}}, source="test")
    return load_study(output_dir, settings=settings)


TRAVELLERS = {f"sub-t{number}_ses-{site}": site for number in (1, 2, 3) for site in "AB"}


def test_single_site_people_train_and_travelling_ones_never(tmp_path):
    sites = {**two_sites(), **TRAVELLERS}
    study = load(write_derivative(tmp_path, sites))
    assert study.trained_sites == ("A", "B")
    assert study.travelling == {"sub-t1", "sub-t2", "sub-t3"}
    assert study.eligible == set(two_sites())
    assert study.left_out == {}
    assert study.grid_shape == (8, 8, 8)
    assert study.voxel_size_mm == 2.0
    assert study.scaling_mask == "brain"
    assert [scan.stem for scan in study.scans] == sorted(sites)


def test_two_sessions_at_one_site_are_not_travelling(tmp_path):
    sites = {**two_sites(), "sub-x_ses-1": "A", "sub-x_ses-2": "A"}
    study = load(write_derivative(tmp_path, sites))
    assert study.travelling == frozenset()
    assert "sub-x" in study.eligible
    assert study.reference_site == "A"


def test_small_sites_are_left_out_with_the_reason(tmp_path):
    study = load(write_derivative(tmp_path, {**two_sites(), "sub-c1": "C", "sub-c2": "C"}))
    assert list(study.left_out) == ["C"]
    assert "participants to train on: 2" in study.left_out["C"]
    assert "fewer than 5" in study.left_out["C"]
    assert "sub-c1" not in study.eligible
    assert [scan.site for scan in study.trained_scans] == ["A"] * 5 + ["B"] * 5
    assert [scan.stem for scan in study.of_site("C")] == ["sub-c1", "sub-c2"]


def test_a_visit_to_a_left_out_site_makes_nobody_travelling(tmp_path):
    sites = {**two_sites(), "sub-x_ses-1": "A", "sub-x_ses-2": "C"}
    study = load(write_derivative(tmp_path, sites))
    assert study.travelling == frozenset()
    assert "sub-x" in study.eligible
    assert [scan.stem for scan in study.training_scans if scan.participant_id == "sub-x"] == [
        "sub-x_ses-1"
    ]


def test_a_doubtful_head_mask_counts_like_a_doubtful_brain_mask(tmp_path):
    sites = two_sites(7)
    write_derivative(tmp_path, sites)
    rows = {"sub-a1": {"site": "A", "site_source": "x", "head_mask_doubtful": True}}
    write_scan_rows(tmp_path, rows, measures={})
    assert {scan.stem for scan in load(tmp_path).scans if not scan.usable} == {"sub-a1"}


def test_doubtful_scans_do_not_train_and_do_not_count(tmp_path):
    sites = {**two_sites(6), "sub-b7": "B"}
    study = load(write_derivative(tmp_path, sites, doubtful=["sub-b7", "sub-a1"]))
    assert not study.scan("sub-a1").usable
    assert study.eligible == set(sites) - {"sub-b7", "sub-a1"}
    assert study.reference_site == "B"


def test_a_site_of_doubtful_scans_is_left_out_with_the_number_of_them(tmp_path):
    visits = [f"sub-c{person}_ses-{visit}" for person in (1, 2, 3) for visit in (1, 2)]
    sites = {**two_sites(), **dict.fromkeys(visits, "C")}
    study = load(write_derivative(tmp_path, sites, doubtful=visits[1:]))
    assert study.left_out == {
        "C": "participants to train on: 1, fewer than 5 (--min-per-site); "
        "2 more have only scans with a doubtful head or brain mask"
    }


def test_the_reference_is_the_largest_site_ties_alphabetical_or_the_one_asked_for(tmp_path):
    out = write_derivative(tmp_path, two_sites())
    assert load(out).reference_site == "A"
    assert load(out, reference_site="B").reference_site == "B"
    with pytest.raises(SiteError, match="'Z' is no trained site; trained are: A, B"):
        load(out, reference_site="Z")


def test_a_reference_that_is_too_small_is_refused_with_its_reason(tmp_path):
    out = write_derivative(tmp_path, {**two_sites(), "sub-c1": "C"})
    with pytest.raises(SiteError, match=r"'C' is no trained site .participants to train on: 1"):
        load(out, reference_site="C")


def test_one_site_alone_is_refused(tmp_path):
    out = write_derivative(tmp_path, {f"sub-{number}": "A" for number in range(1, 7)})
    with pytest.raises(SiteError, match=r"1 site\(s\) can be trained, at least 2 are needed"):
        load(out)


def test_travelling_people_alone_train_only_if_some_are_held_out(tmp_path):
    sites = {f"sub-t{n}_ses-{site}": site for n in range(7) for site in "AB"}
    out = write_derivative(tmp_path, sites)
    with pytest.raises(SiteError, match="--hold-out-travelling N keeps N"):
        load(out)
    study = load(out, hold_out_travelling=2)
    assert len(study.travelling) == 2
    assert study.eligible == {f"sub-t{n}" for n in range(7)} - study.travelling
    assert len(study.training_scans) == 10
    assert sorted(study.site_of_participant().values()) == ["A", "A", "A", "B", "B"]
    assert load(out, hold_out_travelling=2).travelling == study.travelling
    seeds = {load(out, hold_out_travelling=2, seed=seed).travelling for seed in range(6)}
    assert len(seeds) > 1
    with pytest.raises(SiteError, match="only 7 participants travel"):
        load(out, hold_out_travelling=8)
    with pytest.raises(SiteError, match="participants to train on: 3"):
        load(out, hold_out_travelling=4)


def test_order_of_names_does_not_matter(tmp_path):
    sites = {**two_sites(), **TRAVELLERS}
    first = write_derivative(tmp_path / "a", sites)
    second = write_derivative(tmp_path / "b", dict(reversed(sites.items())))
    assert load(first).eligible == load(second).eligible
    assert [s.stem for s in load(first).scans] == [s.stem for s in load(second).scans]


def test_mixed_grids_are_listed(tmp_path):
    out = write_derivative(tmp_path, two_sites())
    write_volume(scan_output(out, "sub-a1", "preproc"), size_mm=3.0)
    with pytest.raises(UnusableDataError, match="8 x 8 x 8 voxels of 3 mm: 1 scans, sub-a1"):
        load(out)


def test_brain_masks_are_there_for_all_or_for_none(tmp_path):
    out = write_derivative(tmp_path / "none", two_sites(), brain_mask=False)
    assert load(out).scaling_mask == "head"
    out = write_derivative(tmp_path / "some", two_sites())
    scan_output(out, "sub-b2", "brain_mask").unlink()
    with pytest.raises(UnusableDataError, match="1 of 10 scans have no brain mask: sub-b2"):
        load(out)


def test_an_empty_output_is_no_study(tmp_path):
    with pytest.raises(MissingInputError, match="no participant-level output"):
        load(tmp_path)


def test_a_lost_image_is_named(tmp_path):
    out = write_derivative(tmp_path, two_sites())
    scan_output(out, "sub-a1", "preproc").unlink()
    with pytest.raises(MissingInputError, match=r"sub-a1_desc-preproc_T1w.*gone"):
        load(out)


def test_site_labels_that_collide_are_refused(tmp_path):
    sites = {stem: {"A": "site a", "B": "Site-A"}[site] for stem, site in two_sites().items()}
    with pytest.raises(SiteError, match="same label"):
        load(write_derivative(tmp_path, sites))


def test_participants_come_with_age_as_a_number_and_all_are_there(tmp_path):
    out = write_derivative(tmp_path, two_sites())
    (out / "participants.tsv").write_text("participant_id\tage\tsex\nsub-a1\t31.5\tF\n")
    participants = load(out).participants
    assert participants.loc["sub-a1", "age"] == 31.5
    assert participants.loc["sub-a1", "sex"] == "F"
    assert list(participants.index) == sorted(two_sites())
    assert participants["age"].isna().sum() == 9


def test_quality_measures_come_as_numbers(tmp_path):
    assert load(write_derivative(tmp_path, two_sites())).scan("sub-a1").quality == {"snr": 12.5}


def with_groups(tmp_path, sites, controls, **group):
    """The study of people of whom some are controls."""
    people = sorted({stem.split("_")[0] for stem in sites})
    rows = [f"{person}\t{'HC' if person in controls else 'SZ'}" for person in people]
    output_dir = write_derivative(tmp_path, sites)
    (output_dir / "participants.tsv").write_text("\n".join(["participant_id\tdx", *rows, ""]))
    settings = make_settings({"group": {"group_column": "DX", **group}}, source="test")
    return load_study(output_dir, settings=settings)


def test_models_are_fitted_on_controls_alone_and_the_others_are_held_back(tmp_path):
    sites = {**two_sites(7), **TRAVELLERS}
    controls = {f"sub-{site}{n}" for site in "ab" for n in range(1, 6)} | {"sub-t1"}
    study = with_groups(tmp_path, sites, controls)
    assert study.eligible == set(two_sites(7))
    assert study.trainees == controls - {"sub-t1"}
    assert study.held_back == {"sub-a6", "sub-a7", "sub-b6", "sub-b7"}
    assert {scan.participant_id for scan in study.training_scans} == study.trainees
    assert set(study.site_of_participant()) == study.trainees
    assert set(study.site_of_participant(study.eligible)) == study.eligible
    assert study.fit_words == (
        "models are fitted on controls alone (dx = HC): 10 of 14 eligible participants"
    )


def test_a_site_with_too_few_controls_lets_everybody_train(tmp_path):
    study = with_groups(tmp_path, two_sites(6), {f"sub-a{n}" for n in range(1, 6)} | {"sub-b1"})
    assert (study.held_back, study.trainees) == (frozenset(), study.eligible)
    assert "B has 1" in study.fit_words
    assert study.people_words == "controls and others together"


def test_a_group_column_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"--group-column dose: no such column in .*participants"):
        with_groups(tmp_path, two_sites(), set(), group_column="dose")


@pytest.mark.parametrize("word", ["all", "median"])
def test_a_site_is_not_named_like_a_word_of_the_tables(word):
    visits = {f"sub-{site}{i}": {site} for site in (word, "Oslo") for i in range(3)}
    with pytest.raises(SiteError, match=f"a site is named '{word}', the word that .*--site-map"):
        assign_roles(visits, visits, settings=SiteSettings(min_per_site=2), seed=0)


def test_a_site_as_large_as_asked_for_trains(tmp_path):
    output_dir = write_derivative(tmp_path, {**two_sites(), "sub-c1": "C", "sub-c2": "C"})
    assert load(output_dir, min_per_site=2).trained_sites == ("A", "B", "C")
    assert load(output_dir, min_per_site=3).trained_sites == ("A", "B")
