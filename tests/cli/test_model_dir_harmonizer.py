"""``--model-dir`` with a harmonizer: which options contradict it, and what a run leaves behind."""

import json
import shutil
import tomllib
from pathlib import Path

import pandas as pd
import pytest

import bids_harmonize.stages.harmonization.apply_scans  # noqa: F401 - before the stand-ins
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.cli.main import main
from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import FitReport
from bids_harmonize.stages.harmonization.files import write_model
from tests.bids.trees import two_sites, write_derivative, write_raw
from tests.cli.standins import install
from tests.harmonizers.small_study import cpu_runtime, make_data

PEOPLE = "participant_id\tsite\nsub-a1\tA\nsub-b1\tB\nsub-c1\tOslo\n"
STEMS = ("sub-a1", "sub-b1", "sub-c1")


def write_harmonizer(folder: Path, name: str = "nyul", reference: str = "B", **provenance) -> Path:
    """A fitted model of sites A and B on the grid of the tiny trees."""
    (source,) = {"A", "B"} - {reference}
    harmonizer = make_harmonizer(
        name, reference_site=reference, source_sites=(source,), voxel_size_mm=2.0
    )
    data = make_data()
    harmonizer.fit(data, runtime=cpu_runtime(), seed=0, work_dir=folder, resume=False)
    people = pd.DataFrame({"participant_id": ["sub-1"], "site": ["A"], "filename": ["x"]})
    write_model(
        folder / f"{name}_to-{reference}",
        harmonizer,
        FitReport(),
        training=people.assign(sha256="0"),
        splits=people.assign(split="train", half=None)[
            ["participant_id", "site", "split", "half"]
        ],
        provenance={
            "grid": {"shape": [8, 8, 8], "voxel_size_mm": 2.0},
            "random_seed": 0,
            "fingerprint": "f",
            "settings_hash": "s",
            **provenance,
        },
    )
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "models"
    for name in ("nyul", "histogram"):
        write_harmonizer(folder, name, preprocessing={"bias_correction": "none"})
    return folder


@pytest.fixture
def calls(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def run(tmp_path, capsys, calls):
    raw = write_raw(tmp_path / "raw", STEMS, participants=PEOPLE)

    def run(*words, levels=("participant",)):
        place = str(raw) if "participant" in levels else "-"
        words = [str(word) for word in words]
        code = main([place, str(tmp_path / "out"), *levels, "--nprocs", "1", *words])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        return code

    return run


def image_of(tmp_path, stem, reference="B"):
    return scan_output(tmp_path / "out", stem, "harmonized", reference=reference)


def test_scans_of_known_sites_are_harmonized_and_everything_says_so(run, calls, models, tmp_path):
    assert run("--model-dir", models, "--harmonizer", "nyul") == 0
    out = tmp_path / "out"
    assert calls.scans == list(STEMS)
    assert [image_of(tmp_path, stem).is_file() for stem in STEMS] == [True, True, False]
    assert "knows the sites B, A only: sub-c1 (Oslo)" in run.text
    summary = run.text.splitlines()[-1]
    sha256 = json.loads((models / "nyul_to-B" / "model.json").read_text())["sha256"]
    assert "2 scans harmonized, 0 unchanged, by nyul to B (model" in summary
    assert f"sha256 {sha256[:12]}...), 1 left out for their site" in summary
    rows = {stem: scan_row(out, stem).cells for stem in STEMS}
    assert [rows[stem]["harmonized_to"] for stem in STEMS] == ["B", "B", None]
    assert [rows[stem]["harmonization_method"] for stem in STEMS] == ["nyul", "scaling", None]
    assert rows["sub-a1"]["harmonization_model_sha256"] == sha256
    assert rows["sub-a1"]["unseen_site"] == "false"
    generated = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"]
    assert [entry["Name"] for entry in generated] == ["bids-harmonize", "nyul_to-B"]
    assert sha256 in generated[1]["Description"]
    assert "desc-harmonizedB" in set(read_tsv(out / "descriptions.tsv")["desc_id"])
    assert calls.pages == list(STEMS)


def test_what_was_said_of_an_image_outlives_a_run_without_the_model(run, models, tmp_path):
    run("--model-dir", models, "--harmonizer", "nyul")
    before = image_of(tmp_path, "sub-a1").stat().st_mtime_ns
    assert run("--resolution", "2") == 0
    out = tmp_path / "out"
    assert scan_row(out, "sub-a1").cells["harmonized_to"] == "B"
    generated = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"]
    assert [entry["Name"] for entry in generated] == ["bids-harmonize", "nyul_to-B"]
    assert "desc-harmonizedB" in set(read_tsv(out / "descriptions.tsv")["desc_id"])
    assert run("--model-dir", models, "--harmonizer", "nyul") == 0
    assert "0 scans harmonized, 2 unchanged" in run.text
    assert image_of(tmp_path, "sub-a1").stat().st_mtime_ns == before


def test_grid_method_and_reference_come_from_the_model(run, models, tmp_path):
    assert run("--model-dir", models / "histogram_to-B") == 0
    (path,) = (tmp_path / "out" / "logs").glob("*.toml")
    settings = tomllib.loads(path.read_text())
    assert settings["preprocessing"]["resolution_mm"] == 2.0
    assert settings["preprocessing"]["grid_shape"] == [8, 8, 8]
    assert settings["preprocessing"]["bias_correction"] == "none"
    assert settings["group"]["harmonizer"] == "histogram"
    assert settings["site"]["reference_site"] == "B"


def test_what_equals_the_models_is_no_contradiction(run, models):
    words = ("--resolution", "2.0", "--grid-shape", "8", "8", "8", "--reference-site", "B")
    assert run("--model-dir", models, "--harmonizer", "nyul", *words) == 0


def test_sub_boxes_against_those_of_the_training_give_2(run, models, tmp_path):
    folder = shutil.copytree(models / "nyul_to-B", tmp_path / "own" / "nyul_to-B")
    model = json.loads((folder / "model.json").read_text())
    model["learnt"] = {"network_voxel_size_mm": 6.0, "loss_voxel_size_mm": 2.0}
    (folder / "model.json").write_text(json.dumps(model))
    assert run("--model-dir", folder, "--sub-boxes", "off") == 2
    assert "--sub-boxes off: the model in" in run.text
    assert "was trained with on" in run.text
    model["learnt"] = {"network_voxel_size_mm": 6.0}
    (folder / "model.json").write_text(json.dumps(model))
    assert run("--model-dir", folder, "--sub-boxes", "on") == 2
    assert "was trained with off" in run.text


def test_options_against_the_model_give_2_together_before_any_work(run, calls, models, tmp_path):
    toml = tmp_path / "own.toml"
    toml.write_text("[harmonizer]\nn_iterations = 5\n")
    code = run(
        *("--model-dir", models, "--harmonizer", "nyul", "--resolution", "3"),
        *("--grid-shape", "9", "8", "8", "--brain-mask", "none", "--bias-correction", "n4"),
        *("--config-file", toml),
    )
    assert code == 2
    for words in (
        "--resolution 3: the model in",
        "--grid-shape 9 x 8 x 8: the model in",
        "--brain-mask none: the model in",
        "--bias-correction n4: the model in",
        "[harmonizer] n_iterations = 5: the model in",
    ):
        assert words in run.text, words
    assert (calls.scans, (tmp_path / "out").exists()) == ([], False)


def test_another_reference_or_method_gives_2_and_lists_what_is_there(run, models):
    assert run("--model-dir", models, "--reference-site", "A", "--harmonizer", "nyul") == 2
    assert "--harmonizer nyul --reference-site A: --model-dir" in run.text
    assert "holds histogram to B, nyul to B" in run.text
    assert run("--model-dir", models, "--resolution", "3") == 2
    assert "the default cyclegan: --model-dir" in run.text
    assert "--resolution 3" in run.text
    assert run("--model-dir", models / "nyul_to-B", "--harmonizer", "histogram") == 2


def test_two_references_must_be_told_apart(run, tmp_path):
    folder = tmp_path / "both"
    write_harmonizer(folder, reference="B")
    write_harmonizer(folder, reference="A")
    assert run("--model-dir", folder, "--harmonizer", "nyul") == 2
    assert "holds nyul to A, nyul to B; say which with --reference-site" in run.text
    assert run("--model-dir", folder, "--harmonizer", "nyul", "--reference-site", "A") == 0
    assert image_of(tmp_path, "sub-b1", "A").is_file()


def test_a_folder_that_is_no_harmonizer_gives_2_and_says_what_it_is(run, calls, models, tmp_path):
    classifier = tmp_path / "classifier"
    classifier.mkdir()
    (classifier / "model.json").write_text('{"kind": "site_classifier"}')
    half = tmp_path / "half" / "nyul_to-B"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"x")
    wrong = {
        tmp_path / "nowhere": "no such folder",
        classifier: "no harmonizer in it, but a site classifier",
        tmp_path / "half": "its writing or copying was interrupted",
        models.parent: f"there are some in {models}",
    }
    for folder, words in wrong.items():
        assert run("--model-dir", folder) == 2
        assert words in run.text
    assert calls.scans == []


def test_no_scan_of_a_known_site_gives_65_before_any_work(run, calls, models, tmp_path):
    words = ("--model-dir", models, "--harmonizer", "nyul", "--participant-label", "c1")
    assert run(*words) == 65
    assert "no scan is of any of them: sub-c1 (Oslo)" in run.text
    assert calls.scans == []
    site_map = tmp_path / "map.tsv"
    site_map.write_text("participant_id\tsite\nsub-c1\tA\n")
    assert run(*words, "--site-map", site_map) == 0
    assert image_of(tmp_path, "sub-c1").is_file()


def test_a_broken_model_gives_65_before_any_work(run, calls, models, tmp_path):
    folder = write_harmonizer(tmp_path / "cut")
    (folder / "nyul_to-B" / "model.safetensors").write_bytes(b"cut")
    assert run("--model-dir", folder / "nyul_to-B") == 65
    assert "its writing was interrupted" in run.text
    assert calls.scans == []


def test_images_of_another_harmonizer_give_2_unless_overwriting(run, calls, models, tmp_path):
    run("--model-dir", models, "--harmonizer", "nyul")
    calls.scans.clear()
    assert run("--model-dir", models, "--harmonizer", "histogram") == 2
    assert "holds images harmonized by nyul to B" in run.text
    assert calls.scans == []
    other = ("--model-dir", models, "--harmonizer", "histogram", "--overwrite-harmonized")
    assert run(*other) == 0
    generated = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert [entry["Name"] for entry in generated["GeneratedBy"]][1:] == ["histogram_to-B"]


def test_failed_and_busy_scans_are_not_harmonized(run, calls, models, tmp_path):
    calls.failing, calls.busy = frozenset({"sub-a1"}), frozenset({"sub-b1"})
    assert run("--model-dir", models, "--harmonizer", "nyul") == 1
    assert not any(image_of(tmp_path, stem).exists() for stem in STEMS)


def test_a_doubtful_scan_is_harmonized_and_flagged(run, calls, models, tmp_path):
    calls.doubtful = frozenset({"sub-a1"})
    assert run("--model-dir", models, "--harmonizer", "nyul") == 0
    image = image_of(tmp_path, "sub-a1")
    sidecar = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["MaskDoubtful"] is True
    assert read_image(image)[0].shape == (8, 8, 8)


def test_the_dry_run_lists_harmonized_images_of_known_sites(run, models, tmp_path):
    assert run("--model-dir", models, "--harmonizer", "nyul", "--dry-run") == 0
    listed = [line for line in run.printed.splitlines() if "harmonizedB" in line]
    assert listed == [str(image_of(tmp_path, stem)) for stem in STEMS[:2]]


def test_the_group_level_plans_what_the_folder_holds(run, calls, models, tmp_path):
    write_derivative(tmp_path / "out", two_sites())
    words = ("--model-dir", models, "--harmonizer", "nyul")
    assert run(*words, levels=("group",)) == 0
    assert calls.stages == ["harmonize"]
    assert "stage classify cannot run: no site classifier in" in run.text
    assert run(*words, "--stages", "classify", "harmonize", levels=("group",)) == 2
    assert "no site classifier in it" in run.text


def test_stages_without_harmonize_leave_the_participant_level_nothing_to_apply(run, models):
    words = ("--model-dir", models, "--stages", "classify")
    assert run(*words) == 2
    assert "--stages classify: at the participant level --model-dir applies" in run.text
