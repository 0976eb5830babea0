"""Runs that compute nothing: what would be done, pages alone, methods alone."""

from tests.bids.trees import two_sites


def test_a_dry_run_prints_scans_sites_and_outputs_and_writes_nothing(run, calls, tmp_path):
    assert run("--dry-run", "--participant-label", "a1") == 0
    lines = run.printed.splitlines()
    assert lines[1].endswith("sub-a1_T1w.nii.gz\tA\tparticipants.tsv:site\ttemplate")
    assert str(tmp_path / "out/sub-a1/anat/sub-a1_desc-preproc_T1w.nii.gz") in lines
    assert not (tmp_path / "out").exists()
    assert calls.scans == []
    run("--dry-run", "--brain-mask", "none", "--participant-label", "a1")
    assert "desc-brain" not in run.printed


def test_a_dry_run_of_the_group_prints_roles_and_tables(run, calls, out):
    before = sorted(out.rglob("*"))
    assert run("--dry-run", levels=("group",)) == 0
    assert "\tA\tparticipants.tsv:site\ttraining" in run.printed
    assert "reference site: A" in run.printed
    assert "sub-b1_desc-harmonizedA_T1w.nii.gz" in run.printed
    assert "group_methods.tsv" in run.printed
    assert sorted(out.rglob("*")) == before


def test_pages_alone_are_written_without_raw_data(run, calls, out):
    levels = ("participant", "group")
    assert run("--reports-only", levels=levels, bids_dir="nowhere") == 0
    assert calls.pages == [*sorted(two_sites()), "group"]
    assert (calls.scans, calls.stages) == ([], [])
    assert run("--reports-only", "--participant-label", "zz") == 18


def test_methods_alone_are_written_without_raw_data(run, calls, out):
    words = ("--boilerplate-only", "--bias-correction", "n4")
    assert run(*words, levels=("participant", "group"), bids_dir="nowhere") == 0
    text = (out / "logs/CITATION.md").read_text()
    assert "## Participant level\n\nT1-weighted images" in text
    assert "SimpleITK's N4 [4]." in text
    assert "## Group level\n\nT1-weighted images" in text
    assert (calls.scans, calls.stages, calls.pages) == ([], [], [])
    assert run("--boilerplate-only", levels=("group",), output_dir=out / "empty") == 66


def test_both_levels_say_what_they_did_in_one_file(run, calls, tmp_path):
    assert run("--no-tissue", levels=("participant", "group")) == 0
    text = (tmp_path / "out/logs/CITATION.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Participant level",
        "## Group level",
    ]
    assert "demons" not in text
    assert run() == 0
    again = (tmp_path / "out/logs/CITATION.md").read_text()
    assert "bent onto each brain by diffeomorphic demons" in again
    assert again.partition("## Group level")[2] == text.partition("## Group level")[2]
