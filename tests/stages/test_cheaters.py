"""Images that look well and are not, given by --judge: the verdict says no, and which row does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from bids_harmonize.bids.images import read_image, write_image
from bids_harmonize.bids.judged import read_all_judged
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages.evaluate import evaluate
from bids_harmonize.stages.evaluation import verdict
from tests.stages.small_study import (
    tone,
    train_briefly,
    write_small_study,
    write_template_transforms,
)
from tests.stages.test_evaluate import _context, _fitted

N_TRAVEL = 5


def undone(volume):
    """What the scan would be at site A, up to its noise: the honest harmonizer."""
    return tone((np.clip(volume, 0, None) / 400.0) ** 2, "A")


def images_of(study):
    """Name of a tool to what it makes of every scan."""
    real = [read_image(scan.t1w)[0] for scan in study.of_site("A")]
    mean = np.mean(real, axis=0)
    return {
        "honest": undone,
        "blur": lambda volume: gaussian_filter(undone(volume), 1.5),
        "mean": lambda volume: mean,
        "same": lambda volume: real[0],
        "trained": undone,
        "unknown": undone,
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = write_small_study(
        tmp_path_factory.mktemp("study"), n_per_site=10, n_travelling=N_TRAVEL
    )
    write_template_transforms(made)
    return made


def combat_of(study):
    """Stem to image: at every voxel, mean and spread of each site are made those of all."""
    scans = [scan for scan in study.scans if scan.participant_id in study.eligible]
    site = np.array([scan.site for scan in scans])
    volumes = [read_image(scan.t1w)[0] for scan in scans]
    alike = np.stack([undone(v) if s == "B" else v for v, s in zip(volumes, site, strict=True)])
    mean, spread = alike.mean(axis=0), alike.std(axis=0)
    for name in ("A", "B"):
        own = alike[site == name]
        alike[site == name] = (own - own.mean(axis=0)) / (own.std(axis=0) + 1e-6) * spread + mean
    return {scan.stem: image for scan, image in zip(scans, alike, strict=True)}


def put(folder, name, scan, image):
    path = folder / name / scan.participant_id / f"ses-{scan.site}" / "anat"
    path.mkdir(parents=True, exist_ok=True)
    _, affine = read_image(scan.t1w)
    write_image(path / f"{scan.stem}_desc-{name}_T1w.nii.gz", image.astype(np.float32), affine)


@pytest.fixture(scope="module")
def answers(study, tmp_path_factory):
    """Answer of every question, tool by tool."""
    folder = tmp_path_factory.mktemp("tools")
    for name, make in images_of(study).items():
        for scan in study.of_site("B"):
            put(folder, name, scan, make(read_image(scan.t1w)[0]))
        if name != "unknown":
            people = ["sub-A0", "sub-T1"] if name == "trained" else ["sub-A0"]
            table = pd.DataFrame({"participant_id": people})
            table.to_csv(folder / name / "training.tsv", sep="\t", index=False)
    judge = {name: str(folder / name) for name in images_of(study)}
    context = _context(study, tmp_path_factory.mktemp("work"), judge=judge)
    fitted = replace(_fitted(context), judged=read_all_judged(judge, study.scans))
    with pytest.MonkeyPatch.context() as monkeypatch:
        train_briefly(monkeypatch)
        evaluate(context, fitted)
    table = read_tsv(study.output_dir / "group_verdict.tsv")
    return table.pivot(index="question", columns="method", values="answer")


def test_an_honest_tool_gets_good_answers(answers):
    own = answers["judge:honest"]
    assert own[verdict.TRAINED_APART] == "yes"
    assert own[verdict.CLOSER_THAN_RAW] == "yes"
    assert own[verdict.AS_SHARP] == "yes"
    assert own[verdict.RECOGNISED] == "yes"
    assert own[verdict.LESIONS_KEPT] == "cannot tell"


def test_blurring_everything_is_blurrier(answers):
    assert answers["judge:blur"][verdict.AS_SHARP] == "no"


@pytest.mark.parametrize("cheater", ["mean", "same"])
def test_one_image_for_everybody_is_nobody(answers, cheater):
    assert answers[f"judge:{cheater}"][verdict.RECOGNISED] == "no"


def test_who_trained_on_travelling_subjects_is_told(answers):
    own = answers["judge:trained"]
    assert own[verdict.TRAINED_APART] == "no"
    assert own[verdict.CLOSER_THAN_RAW] == "cannot tell"


def test_who_does_not_say_whom_it_was_trained_on_gets_no_yes(answers):
    own = answers["judge:unknown"]
    assert own[verdict.TRAINED_APART] == "cannot tell"
    assert own[verdict.CLOSER_THAN_RAW] == "cannot tell"


def test_tools_stand_beside_the_methods_in_every_table(study, answers):
    methods = set(read_tsv(study.output_dir / "group_methods.tsv")["method"])
    probes = read_tsv(study.output_dir / "group_siteprobe.tsv")
    for name in answers.columns:
        assert name in methods
        assert "reseeded" in set(probes.loc[probes["method"] == name, "probe"])


@pytest.fixture(scope="module")
def combat(tmp_path_factory):
    """ComBat alone, with full effort: five folds have the power that two lack."""
    study = write_small_study(tmp_path_factory.mktemp("study"), n_per_site=10, n_travelling=2)
    folder = tmp_path_factory.mktemp("tools")
    made = combat_of(study)
    for scan in study.scans:
        if scan.stem in made:
            put(folder, "combat", scan, made[scan.stem])
    context = _context(study, tmp_path_factory.mktemp("work"), effort="full")
    judged = read_all_judged({"combat": str(folder / "combat")}, study.scans)
    with pytest.MonkeyPatch.context() as monkeypatch:
        train_briefly(monkeypatch)
        monkeypatch.setattr("bids_harmonize.stages.evaluation.siteremoval.FULL_SEEDS", 1)
        fitted = replace(_fitted(context), judged=judged)
        result = evaluate(context, fitted)
    return result, study.output_dir


def test_combat_fitted_on_everybody_is_a_suspected_leak(combat):
    result, folder = combat
    probes = read_tsv(folder / "group_siteprobe.tsv")
    own = probes[(probes["method"] == "judge:combat") & (probes["probe"] == "forest")].iloc[0]
    assert float(own["balanced_accuracy"]) < float(own["null_q001"]) < 0.5
    assert own["leak_suspected"] == "true"
    assert any("leak suspected: a fresh probe of judge:combat" in line for line in result.failures)
    answers = read_tsv(folder / "group_verdict.tsv").set_index(["method", "question"])["answer"]
    assert answers["judge:combat", verdict.SITE_UNREADABLE] == "no"
    assert answers["judge:combat", verdict.TRAINED_APART] == "cannot tell"
