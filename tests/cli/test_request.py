import json
import re
from pathlib import Path

import pytest

from bids_harmonize.cli.parser import parse
from bids_harmonize.cli.request import make_request
from bids_harmonize.cli.site_map import read_site_map
from bids_harmonize.config import dump_toml
from bids_harmonize.errors import UnusableDataError, UsageError


def request(*words):
    return make_request(parse(["bids", "out", "participant", *words]))


def test_defaults_are_those_of_the_settings():
    asked = request()
    assert asked.settings.preprocessing.resolution_mm == 1.0
    assert asked.settings.site.min_per_site == 5
    assert asked.work_dir == Path("out/.work").absolute()
    assert not asked.dry_run
    assert asked.site_map == {}


def test_every_value_reaches_its_setting():
    settings = request(
        *("--resolution", "3", "--grid-shape", "64", "80", "64", "--brain-mask", "none"),
        *("--bias-correction", "n4", "--no-tissue"),
        *("--site-source", "metadata", "--site-key", "A,B", "--reference-site", "Site B"),
        *("--min-per-site", "3", "--hold-out-travelling", "2"),
        *("--stages", "classify", "evaluate", "--harmonizer", "nyul", "--folds", "3"),
        *("--network-resolution", "4", "--effort", "quick", "--overwrite-harmonized"),
        *("--device", "cuda:1", "--precision", "bf16-mixed", "--omp-nthreads", "2"),
        *("--random-seed", "7", "--no-resume", "--stop-on-first-crash", "-w", "/w"),
    ).settings
    assert settings.preprocessing.grid_shape == (64, 80, 64)
    assert settings.preprocessing.brain_mask == "none"
    assert (settings.preprocessing.bias_correction, settings.preprocessing.tissue) == ("n4", False)
    assert settings.site.site_key == ("A", "B")
    assert settings.site.reference_site == "Site B"
    assert (settings.site.min_per_site, settings.site.hold_out_travelling) == (3, 2)
    assert settings.group.stages == ("classify", "evaluate")
    assert (settings.group.harmonizer, settings.group.folds) == ("nyul", 3)
    assert (settings.group.network_resolution_mm, settings.group.effort) == (4.0, "quick")
    assert settings.group.overwrite_harmonized
    assert (settings.resources.device, settings.resources.precision) == ("cuda:1", "bf16-mixed")
    assert settings.resources.omp_nthreads == 2
    assert (settings.run.random_seed, settings.run.resume) == (7, False)
    assert settings.run.stop_on_first_crash
    assert settings.run.work_dir == "/w"


def test_the_command_line_overrides_the_file_and_the_file_the_defaults(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("[group]\nfolds = 4\neffort = 'quick'\n[classifier]\nn_epochs = 2\n")
    settings = request("--config-file", str(path), "--folds", "3").settings
    assert (settings.group.folds, settings.group.effort) == (3, "quick")
    assert settings.classifier.n_epochs == 2


def test_tissue_that_a_file_switched_off_can_be_switched_on_again(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("[preprocessing]\ntissue = false\n")
    assert not request("--config-file", str(path)).settings.preprocessing.tissue
    assert request("--config-file", str(path), "--tissue").settings.preprocessing.tissue


def test_written_settings_are_a_file_for_the_next_run(tmp_path):
    first = request("--resolution", "3", "--site-from-session", "(?P<site>[A-Z]+)").settings
    path = tmp_path / "run.toml"
    path.write_text("# a comment\n" + dump_toml(first))
    assert request("--config-file", str(path)).settings == first


def test_derivatives_are_named_folders(tmp_path):
    prep, other = tmp_path / "smriprep", tmp_path / "a=b"
    prep.mkdir()
    other.mkdir()
    settings = request("-d", f"prep={prep}", f"other={other}").settings
    assert settings.selection.derivatives == {"prep": str(prep), "other": str(other)}
    path = tmp_path / "run.toml"
    path.write_text(dump_toml(settings))
    assert request("--config-file", str(path)).settings == settings
    assert request("--derivatives", f"prep={prep}", "-d", f"other={other}").settings == settings


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("smriprep",), "-d smriprep: expected NAME=PATH"),
        (("smriprep=nowhere",), "-d smriprep=nowhere: no such folder"),
        (("raw=.",), "'raw' cannot name a dataset"),
        (("a b=.",), "'a b' cannot name a dataset"),
        (("a=.", "a=.."), "'a' names both . and .."),
    ],
)
def test_derivatives_that_cannot_be_are_told(words, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        request("-d", *words)


@pytest.mark.parametrize(
    ("words", "program", "where"),
    [
        (("--brain-mask", "bet"), "bet", "FSL"),
        (("--brain-mask", "synthstrip"), "mri_synthstrip", "FreeSurfer 7.3"),
        (("--bias-correction", "ants"), "N4BiasFieldCorrection", "ANTs"),
    ],
)
def test_a_missing_program_is_found_before_any_work(words, program, where, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as raised:
        request(*words, "--folds", "one")
    option = " ".join(words)
    assert f"{option}: no program {program} on PATH; it comes with {where}" in str(raised.value)
    assert "--folds" in str(raised.value)  # all faults at once
    (tmp_path / program).touch(mode=0o755)
    assert request(*words).settings.preprocessing != request().settings.preprocessing


@pytest.mark.parametrize("word", ["--dry-run", "--reports-only", "--boilerplate-only"])
def test_what_runs_no_program_needs_none(word, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert request("--brain-mask", "bet", word).settings.preprocessing.brain_mask == "bet"


def test_the_output_is_no_derivative_to_read(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    words = ["raw", str(tmp_path), "participant", "-d", f"x={tmp_path / 'link'}"]
    with pytest.raises(UsageError, match=r"link is output_dir: a run cannot take its own masks"):
        make_request(parse(words))


def test_the_group_level_needs_no_program_and_no_derivative(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ("--brain-mask", "bet", "-d", "prep=nowhere")
    make_request(parse(["-", "out", "group", *words]))


def test_a_mask_that_needs_files_we_do_not_ship_is_no_choice():
    with pytest.raises(UsageError, match="'template', 'none', 'bet' or 'synthstrip'"):
        request("--brain-mask", "ants")


@pytest.mark.parametrize(
    ("text", "gigabytes"), [("16GB", 16), ("16g", 16), ("16000", 16), ("1500MB", 1.5)]
)
def test_memory_has_units_and_a_bare_number_is_mb(text, gigabytes):
    assert request("--mem", text).settings.resources.mem_gb == pytest.approx(gigabytes)


def test_memory_in_gb_has_its_own_word():
    assert request("--mem_gb", "16").settings.resources.mem_gb == 16


def test_words_without_effect_change_no_setting():
    words = ("--notrack", "--skip-bids-validation")
    assert request(*words).settings == request().settings


def test_filters_are_read_from_the_file(tmp_path):
    path = tmp_path / "filter.json"
    path.write_text(json.dumps({"t1w": {"acquisition": "mprage"}}))
    chosen = request("--bids-filter-file", str(path)).settings.selection
    assert chosen.bids_filter == {"t1w": {"acquisition": "mprage"}}


def test_all_faults_come_in_one_message(tmp_path):
    toml = tmp_path / "a.toml"
    toml.write_text("[group]\ncolour = 1\n[harmonizer]\nbogus = 2\n")
    with pytest.raises(UsageError) as raised:
        request(
            *("--config-file", str(toml), "--mem", "8", "--resolution", "x", "--folds", "1"),
            *("--site-from-session", "[A-Z]", "--site-source", "metadata"),
            *("--site-map", "nowhere.tsv", "--use-plugin", "nowhere.yml"),
            *("--bids-filter-file", "nowhere.json", "--stages", "paint", "--harmonizer", "nyul"),
        )
    text = str(raised.value)
    for told in (
        "--mem 8: a bare number is MB, and so few cannot do; meant 8GB?",
        "--resolution (preprocessing.resolution_mm): found 'x'",
        "--folds (group.folds): found '1'",
        "--stages (group.stages.0): found 'paint'",
        "group.colour: unknown setting",
        "bogus: unknown setting",
        "'[A-Z]': no group (?P<site>...)",
        "goes ill with --site-source metadata",
        "--site-map nowhere.tsv: no such file",
        "--use-plugin nowhere.yml: no such file",
        "--bids-filter-file nowhere.json: not readable",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--harmonizer", "magic"), "'magic' is unknown; available: identity, nyul"),
        (("--mem", "lots"), "--mem: found 'lots'"),
        (("--site-from-session", "(?P<site>"), "no regular expression"),
        (("--config-file", "nowhere.toml"), "--config-file nowhere.toml: cannot be read"),
        (("--device", "tpu"), r"--device \(resources.device\): found 'tpu'"),
    ],
)
def test_each_fault_has_its_message(words, told):
    with pytest.raises(UsageError, match=told):
        request(*words)


def test_the_generator_is_a_setting_of_the_harmonizer(tmp_path):
    toml = tmp_path / "a.toml"
    toml.write_text('[harmonizer]\ngenerator = "residual"\nresidual_width = 8\n')
    for words in (("--generator", "residual"), ("--config-file", str(toml))):
        assert request(*words).settings.harmonizer["generator"] == "residual"
    with pytest.raises(UsageError, match="residual_width: unknown setting"):
        request("--config-file", str(toml), "--generator", "bilateral")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--harmonizer", "nyul"), "--generator residual goes with --harmonizer cyclegan; nyul"),
        (("--harmonizer", "localhistogram", "--folds", "1"), "localhistogram has no choice"),
        (("--sub-boxes", "on"), "--sub-boxes on goes ill with --generator residual"),
        (("--generator", "unet"), r"\(--generator\) must be one of: bilateral, residual"),
    ],
)
def test_a_generator_that_cannot_be_had_is_a_usage_fault_beside_all_others(words, told):
    with pytest.raises(UsageError, match=told) as raised:
        request("--generator", "residual", *words)
    assert raised.value.exit_code == 2
    if "--folds" in words:
        assert "--folds (group.folds): found '1'" in str(raised.value)


@pytest.mark.parametrize("word", ["native-isotropic", "native", "Original"])
def test_a_grid_of_its_own_for_each_scan_is_refused_with_a_reason(word, tmp_path):
    toml = tmp_path / "a.toml"
    toml.write_text(f'[preprocessing]\nresolution_mm = "{word}"\n')
    for words in (("--resolution", word), ("--config-file", str(toml))):
        with pytest.raises(UsageError) as raised:
            request(*words)
        assert raised.value.exit_code == 2
        assert f"--resolution (preprocessing.resolution_mm): found '{word}'; " in str(raised.value)
        assert "all sites must share one grid" in str(raised.value)
        assert "give millimetres" in str(raised.value)


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "a.toml").write_text("a = = 1")
    with pytest.raises(UsageError, match="not a TOML file"):
        request("--config-file", str(tmp_path / "a.toml"))


def test_a_filter_for_t1w_is_an_object(tmp_path):
    (tmp_path / "a.json").write_text('{"t1w": ["x"]}')
    with pytest.raises(UsageError, match=r"expected \{"):
        request("--bids-filter-file", str(tmp_path / "a.json"))


def test_the_site_map_names_people_sessions_or_scans(tmp_path):
    path = tmp_path / "map.tsv"
    path.write_text(
        "participant_id\tsession_id\tfilename\tsite\n"
        "01\tn/a\tn/a\tA\n"
        "sub-02\tses-X\tn/a\tB\n"
        "sub-02\tY\tn/a\tC\n"
        "sub-03\tn/a\tsub-03/anat/sub-03_run-1_T1w.nii.gz\tD\n"
    )
    expected = {"sub-01": "A", "sub-02_ses-X": "B", "sub-02_ses-Y": "C", "sub-03_run-1": "D"}
    assert read_site_map(path) == expected
    assert request("--site-map", str(path)).site_map == expected


def test_a_site_map_that_disagrees_with_itself_is_unusable(tmp_path):
    path = tmp_path / "map.tsv"
    path.write_text("participant_id\tsite\nsub-01\tA\n01\tB\n")
    with pytest.raises(UnusableDataError, match="sub-01 is at 'A' and at 'B'"):
        read_site_map(path)


def test_a_site_map_with_gaps_is_refused(tmp_path):
    path = tmp_path / "map.tsv"
    path.write_text("participant_id\tsite\nsub-01\tn/a\n")
    with pytest.raises(UsageError, match="record 1 lacks"):
        read_site_map(path)
