"""Predictions, tables, card and page of one small real run say the same; a resumed run too."""

import json
import logging
import re
from dataclasses import replace

import nibabel as nb
import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.names import classifier_folder
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.report.group_blocks import Figure, Table
from bids_harmonize.report.group_classification import classification_section
from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.stages.classify import run
from tests.stages.classify_study import make_context, write_study
from tests.stages.small_study import train_briefly
from tests.training.toys import SITES


def study_with_a_person_of_two_scans(folder):
    """As ever, but two scans of the first site are of one person: 8 scans of 7 people."""
    study = write_study(folder, n_per_site=4)
    twin = f"sub-{SITES[0]}1"
    scans = tuple(
        replace(scan, participant_id=twin) if scan.stem.startswith(f"sub-{SITES[0]}2_") else scan
        for scan in study.scans
    )
    return replace(study, scans=scans, eligible=study.eligible - {f"sub-{SITES[0]}2"})


def write_atlas(path):
    labels = np.zeros((40, 44, 36), np.int16)
    labels[:20, 4:40, 4:32] = 1
    labels[20:, 4:40, 4:32] = 2
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-78, -104, -66]
    nb.Nifti1Image(labels, affine).to_filename(path)
    return path


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    folder = tmp_path_factory.mktemp("consistent")
    with pytest.MonkeyPatch.context() as patch:
        train_briefly(patch)
        context = make_context(study_with_a_person_of_two_scans(folder / "out"), folder / "work")
        run(context)
        yield context


def people_of(context) -> pd.DataFrame:
    """What the predictions say of each person, scans of a site averaged."""
    table = read_tsv(context.study.output_dir / "group_sitepredictions.tsv")
    table = table[table["fold"].notna()]
    columns = [f"p_{site}" for site in SITES[:2]]
    shares = table[columns].astype(float)
    people = shares.groupby([table["participant_id"], table["site"]]).mean()
    named = people.idxmax(axis=1).str.removeprefix("p_")
    return named.rename("named").reset_index()


def find(blocks, kind, title):
    return next(b for b in blocks if isinstance(b, kind) and b.title.startswith(title))


def test_predictions_tables_card_and_page_agree_on_people_and_accuracy(context):
    people = people_of(context)
    n, n_right = len(people), int((people["named"] == people["site"]).sum())
    assert n == 7
    root = context.study.output_dir
    table = read_tsv(root / "group_siteclassification.tsv")
    row = table[(table["model"] == "network") & (table["split"] == "validation")].iloc[0]
    assert (int(row["n"]), float(row["accuracy"])) == (n, pytest.approx(n_right / n))
    recall = read_tsv(root / "group_siterecall.tsv").query("model == 'network'")
    assert recall["n"].astype(int).sum() == n
    right = (recall["n"].astype(int) * recall["recall"].astype(float)).sum()
    assert right == pytest.approx(n_right)
    card = (classifier_folder(root) / "README.md").read_text()
    told = re.search(r"\| network \| validation \| (\d+) \| ([\d.]+) ", card)
    assert (int(told[1]), float(told[2])) == (n, pytest.approx(n_right / n, abs=5e-4))
    blocks = classification_section(read_group_inputs(root)).blocks
    cells = [cell.text for cell in find(blocks, Table, "Site accuracy").rows[0]]
    assert cells[1] == str(n)
    assert float(cells[3].split(" %")[0]) == pytest.approx(100 * n_right / n, abs=0.05)
    reading = find(blocks, Figure, "Which site is taken for which").reading
    assert reading.startswith(f"{n} people ({n_right} named rightly) before harmonization")
    bins = read_tsv(root / "group_sitecalibration.tsv")
    assert bins["n"].astype(int).sum() == n
    hits = (bins["n"].astype(int) * bins["accuracy"].astype(float)).sum()
    assert hits == pytest.approx(n_right)


def test_controls_of_one_fold_have_no_calibration_and_the_card_says_n_a(context):
    table = read_tsv(context.study.output_dir / "group_siteclassification.tsv")
    table = table[table["split"] == "validation"].set_index("model")
    quick = table["effort"] == "quick"
    assert table.loc[quick, ["calibration_error", "brier"]].isna().all().all()
    assert table.loc[~quick, ["calibration_error", "brier"]].notna().all().all()
    card = (classifier_folder(context.study.output_dir) / "README.md").read_text()
    assert "nan" not in card
    line = next(line for line in card.splitlines() if line.startswith("| headmask |"))
    assert line.endswith("| n/a | n/a | quick |")


@pytest.mark.slow
def test_another_atlas_names_the_regions_and_trains_nothing_anew(context, caplog, tmp_path):
    atlas = write_atlas(tmp_path / "mine.nii")
    group = replace(context.settings.group, atlas=str(atlas))
    asked = replace(context, settings=replace(context.settings, group=group))
    before = read_tsv(context.study.output_dir / "group_sitepredictions.tsv")
    kept = {path: path.stat().st_mtime_ns for path in context.work_dir.glob("classify/*.pt")}
    with caplog.at_level(logging.INFO):
        result = run(asked)
    path = context.study.output_dir / "group_saliencyregions.tsv"
    assert set(read_tsv(path)["region"]) <= {"outside the atlas", "label 1", "label 2"}
    described = json.loads(path.with_suffix(".json").read_text())
    assert described["region"]["Atlas"] == "mine.nii"
    assert any(note.startswith("--atlas mine.nii: 2 regions") for note in result.notes)
    assert {p: p.stat().st_mtime_ns for p in context.work_dir.glob("classify/*.pt")} == kept
    assert read_tsv(context.study.output_dir / "group_sitepredictions.tsv").equals(before)
    # No fold was trained here, so there is no time to tell the controls' from.
    (told,) = [text for text in caplog.messages if text.startswith("controls: ")]
    assert "5 of them have a checkpoint to go on from; the time is not known" in told
    assert "reused" in run(asked).notes[0]
    run(context)
    assert "Atlas" not in json.loads(path.with_suffix(".json").read_text())["region"]
