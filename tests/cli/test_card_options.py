"""``--export-card`` and ``--reference-card``: what is refused, with which code, and what runs."""

import json
from dataclasses import fields

import pytest
import torch

from bids_harmonize.bids.names import card_folder
from bids_harmonize.bids.scans import require_scan_rows
from bids_harmonize.cli.card_checks import CARD_SETTINGS
from bids_harmonize.cli.main import main
from bids_harmonize.cli.parser import parse
from bids_harmonize.cli.request import make_request
from bids_harmonize.config import dump_toml
from bids_harmonize.errors import UsageError
from bids_harmonize.stages import StageResult
from bids_harmonize.stages.harmonization import card as card_stage
from bids_harmonize.stages.harmonization import card_reference
from bids_harmonize.training.card_training import CardSettings
from bids_harmonize.training.losses import LocalHistograms
from tests.bids.trees import two_sites, write_derivative
from tests.cli.standins import install
from tests.harmonizers.card_cases import write_card


def request(*words, levels=("group",)):
    return make_request(parse(["-", "out", *levels, *map(str, words)]))


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """A card of site B on a grid of 2 mm that the tiny derivatives share."""
    shape = [8, 8, 8]
    cells = LocalHistograms(shape, voxel_size_mm=2.0, device=torch.device("cpu")).cells
    n_cells = cells[0] * cells[1] * cells[2]
    return write_card(
        tmp_path_factory.mktemp("card") / "card_Ref",
        name="Ref",
        changed={"shape": shape, "voxel_size_mm": 2.0},
        histograms=torch.ones((n_cells, 40)),
    )


def test_with_a_card_the_harmonizer_and_the_reference_are_those_of_the_card(card, tmp_path):
    settings = request("--reference-card", card).settings
    assert settings.group.harmonizer == "localhistogram"
    assert settings.site.reference_site == "Ref"
    path = tmp_path / "run.toml"
    path.write_text(dump_toml(settings))
    assert request("--config-file", path).settings == settings
    assert request("--reference-card", card, "--reference-site", "Ref").settings == settings


def test_two_cards_make_one_virtual_reference(card, tmp_path):
    other = write_card(tmp_path / "other, with comma", name="Kyoto")
    settings = request("--reference-card", card, other).settings
    assert settings.group.reference_card == (str(card), str(other))
    assert settings.site.reference_site == "Kyoto+Ref"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--harmonizer", "cyclegan"), "--harmonizer cyclegan needs images of the reference"),
        (("--harmonizer", "nyul"), "--harmonizer nyul needs images of the reference"),
        (("--reference-site", "Oslo"), "--reference-site Oslo: the card is of Ref"),
        (("--network-resolution", "3"), "--network-resolution 3: the card is on voxels of 2 mm"),
        (("--export-card",), "--export-card goes ill with --reference-card"),
        (("--model-dir", "models"), "--reference-card goes ill with --model-dir"),
        (("--features", "t.tsv"), "--reference-card goes ill with --features"),
        (("--card-noise", "1"), "--card-noise goes with --export-card"),
        (("--card-licence", "CC0"), "--card-licence goes with --export-card"),
    ],
)
def test_options_that_contradict_a_card_are_told(card, words, told):
    with pytest.raises(UsageError) as raised:
        request("--reference-card", card, *words)
    assert told in str(raised.value)


def test_the_settings_that_a_card_can_use_are_those_of_its_training():
    assert {field.name for field in fields(CardSettings)} == CARD_SETTINGS


def test_all_faults_about_cards_come_at_once(tmp_path):
    config = tmp_path / "run.toml"
    config.write_text("[harmonizer]\nidentity_weight = 1.0\n")
    with pytest.raises(UsageError) as raised:
        request(
            *("--reference-card", tmp_path / "nowhere", "--config-file", config),
            levels=("participant",),
        )
    told = str(raised.value)
    assert "nowhere: no such folder" in told
    assert "identity_weight has no use with --reference-card" in told
    assert "--reference-card is used by the group level" in told


def test_the_median_of_all_sites_is_a_reference_without_images(tmp_path):
    settings = request("--reference-site", "median").settings
    assert settings.group.harmonizer == "localhistogram"
    path = tmp_path / "run.toml"
    path.write_text(dump_toml(settings))
    assert request("--config-file", path).settings == settings
    assert request("--reference-site", "Median").settings.group.harmonizer == "cyclegan"


def test_a_card_of_a_site_with_the_name_of_the_median_is_refused(tmp_path):
    with pytest.raises(UsageError, match="under another name"):
        request("--reference-card", write_card(tmp_path / "card", name="median"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--harmonizer", "cyclegan"), "with --reference-site median it is localhistogram"),
        (("--sources", "joint"), "--sources joint has no use with --reference-site median"),
        (("--export-card",), "a card is of one site"),
        (("--sub-boxes", "on"), "--sub-boxes on has no use with --reference-site median"),
    ],
)
def test_options_that_contradict_the_median_are_told(words, told):
    with pytest.raises(UsageError) as raised:
        request("--reference-site", "median", *words)
    assert told in str(raised.value)


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    assert card_reference  # loaded before the stand-ins take its imports away
    calls = install(monkeypatch)

    def run(*words):
        code = main(["-", str(tmp_path / "out"), "group", "--nprocs", "1", *map(str, words)])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        return code

    run.calls = calls
    return run


def test_one_local_site_is_enough_with_a_card_and_only_then(run, card, tmp_path):
    write_derivative(tmp_path / "out", {f"sub-{n}": "Local" for n in range(5)})
    assert run() == 65
    assert "at least 2 are needed" in run.text
    assert run("--reference-card", card) == 0
    assert run.calls.stages == ["harmonize", "evaluate"]
    assert "classify cannot run: classify needs two sites" in run.text
    assert run.calls.context.study.reference_site == "Ref"


def test_scans_of_the_cards_site_neither_train_nor_count(run, card, tmp_path):
    sites = {f"sub-{n}": "Local" for n in range(5)} | {f"sub-r{n}": "Ref" for n in range(7)}
    sites |= {"sub-t_ses-1": "Local", "sub-t_ses-2": "Ref"}
    write_derivative(tmp_path / "out", sites)
    assert run("--reference-card", card, "--dry-run") == 0
    assert "of the card's site, only scaled" in run.printed
    assert "sub-r0_desc-harmonizedRef_T1w.nii.gz" in run.printed
    assert run("--reference-card", card) == 0
    study = run.calls.context.study
    assert study.trained_sites == ("Local",)
    assert study.eligible == {f"sub-{n}" for n in range(5)}
    assert study.travelling == {"sub-t"}
    assert len(study.harmonized_scans(joint=False)) == len(require_scan_rows(tmp_path / "out"))
    assert len(study.training_scans) == 5


def test_a_card_that_does_not_fit_stops_before_any_stage(run, tmp_path):
    write_derivative(tmp_path / "out", two_sites())
    wrong = write_card(tmp_path / "wrong", name="Ref", changed={"n_people": 3})
    assert run("--reference-card", wrong) == 65
    assert "made from 3 people" in run.text
    coarse = write_card(tmp_path / "coarse", name="Ref")
    assert run("--reference-card", coarse) == 65
    assert "best the default" in run.text
    assert run.calls.stages == []


def test_a_card_alone_is_exported_without_any_stage(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        card_stage,
        "export_card",
        lambda context: StageResult("export-card", notes=("card written",)),
    )
    write_derivative(tmp_path / "out", {f"sub-{n}": "Only" for n in range(12)})
    assert run("--export-card", "--dry-run") == 0
    assert str(card_folder(tmp_path / "out", "Only")) in run.printed
    assert run("--export-card") == 0
    assert run.calls.stages == []
    assert "card written" in run.text
    assert run("--export-card", "--stages", "harmonize") == 65
    assert "harmonize needs two sites" in run.text


def test_a_settings_file_in_the_log_names_the_card(card, tmp_path):
    text = dump_toml(request("--reference-card", card).settings)
    assert json.dumps(str(card)) in text


def test_with_the_median_all_sites_train_and_none_is_the_reference(run, tmp_path):
    sites = {f"sub-{site}{n}": site for site in "ABC" for n in range(5)}
    sites |= {"sub-t_ses-1": "A", "sub-t_ses-2": "C"}
    write_derivative(tmp_path / "out", sites)
    assert run("--reference-site", "median", "--dry-run") == 0
    assert "sub-C0_desc-harmonizedmedian_T1w.nii.gz" in run.printed
    assert run("--reference-site", "median") == 0
    study = run.calls.context.study
    assert (study.trained_sites, study.reference_site) == (("A", "B", "C"), "median")
    assert study.outside_reference
    assert study.virtual_reference
    assert study.travelling == {"sub-t"}
    assert "reference: the median of all trained sites, where nobody was scanned" in run.text
    assert run.calls.stages == ["classify", "harmonize", "evaluate"]


def test_a_site_with_the_name_of_the_median_must_be_renamed(run, tmp_path):
    sites = {f"sub-{site[0]}{n}": site for site in ("A", "median") for n in range(5)}
    write_derivative(tmp_path / "out", sites)
    assert run() == 65
    assert "a site is named 'median'" in run.text
    assert "--site-map" in run.text


def test_the_median_needs_two_sites(run, tmp_path):
    write_derivative(tmp_path / "out", {f"sub-{n}": "A" for n in range(5)})
    assert run("--reference-site", "median") == 65
    assert "at least 2 are needed" in run.text
