"""What the tables of the saliency maps say: by hand, and of a network whose decision is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages.classification.atlas import study_regions
from bids_harmonize.stages.classification.evidence import (
    CHECK_COLUMNS,
    CURVE_COLUMNS,
    SaliencyEvidence,
    gather_evidence,
)
from bids_harmonize.stages.classification.maps import template_grid
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel, select
from bids_harmonize.stages.classification.saliency import explain, write_means
from bids_harmonize.stages.classification.saliency_rows import (
    check_rows,
    deletion_rows,
    share_rows,
)
from bids_harmonize.stages.classification.saliency_tables import write_saliency_tables
from bids_harmonize.stages.inputs import scan_files
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.saliency_checks import FRACTIONS
from bids_harmonize.training.splits import make_folds
from bids_harmonize.training.volumes import DiskVolumes, map_volumes
from tests.stages.classify_study import make_context, write_study
from tests.training.toys import SITES

TABLES = {
    "group_saliency": ["filename", "participant_id", "site", "method", "in_brain", "brain_ratio"],
    "group_saliencyregions": [
        "site", "method", "rank", "region", "share", "ratio", "x_mm", "y_mm", "z_mm"
    ],
    "group_saliencydeletion": [
        "site", "order", "removed_fraction", "n", "log_odds", "log_odds_low", "log_odds_high"
    ],
    "group_saliencychecks": ["check", "site", "method", "n", "value", "low", "high", "passed"],
    "group_siteverdict": ["question", "answer", "value", "threshold", "reason"],
}  # fmt: skip
PLACE = (10, 7, 10)  # of the voxel that decides; (30, -30, 30) mm on the template
METHODS = ("integrated_gradients", "hirescam", "occlusion")


def make_evidence(curves, checks):
    return SaliencyEvidence(
        curves=pd.DataFrame(curves, columns=CURVE_COLUMNS),
        checks=pd.DataFrame(checks, columns=CHECK_COLUMNS),
        shares={},
        means={},
    )


def test_curves_are_means_over_people_and_a_persons_scans_come_first():
    curves = [("sub-1", "B", order, fraction, value)
              for order, values in (("random", (4.0, 6.0)), ("saliency", (0.0, 2.0)))
              for fraction in (0.0, 0.5) for value in values]  # fmt: skip
    curves += [("sub-2", "B", order, fraction, 9.0) for order in ("random", "saliency")
               for fraction in (0.0, 0.5)]  # fmt: skip
    curves += [("sub-3", "A", "saliency", 0.0, 7.0)]
    rows = deletion_rows(make_evidence(curves, []), seed=0)
    assert [(row["site"], row["order"], row["removed_fraction"]) for row in rows] == [
        ("A", "saliency", 0.0), ("B", "saliency", 0.0), ("B", "saliency", 0.5),
        ("B", "random", 0.0), ("B", "random", 0.5),
    ]  # fmt: skip
    assert [row["n"] for row in rows] == [1, 2, 2, 2, 2]
    # (0 + 2) / 2 = 1 and 9; (4 + 6) / 2 = 5 and 9
    assert [row["log_odds"] for row in rows] == [7, 5, 5, 7, 7]
    # Of two people a quarter of the resamples is one of them twice: the ends are the people.
    assert (rows[1]["log_odds_low"], rows[1]["log_odds_high"]) == (1, 9)
    assert np.isnan([rows[0]["log_odds_low"], rows[0]["log_odds_high"]]).all()


def test_checks_pass_by_their_intervals_alone():
    people = {
        # site: deletion of its people, randomisation of its people
        "A": ([1.0, 3.0], [0.1, 0.4]),  # both pass
        "B": ([-1.0, 3.0], [0.2, 0.6]),  # the means are good, the intervals are not
        "C": ([2.0], [0.0]),  # one person has no interval
        "D": ([-3.0, -1.0], [0.7, 0.9]),  # both fail
    }
    checks = [
        (f"sub-{site}{n}", site, deletion, lost)
        for site, columns in people.items()
        for n, (deletion, lost) in enumerate(zip(*columns, strict=True))
    ]
    checks += [("sub-A0", "A", 1.0, np.nan), ("sub-E", "E", 5.0, np.nan)]
    rows = {
        (row["check"], row["site"]): row for row in check_rows(make_evidence([], checks), seed=0)
    }
    assert list(rows) == [
        (check, site) for check in ("deletion", "randomisation") for site in (*"ABCDE", "all")
    ]
    passed = {check: [rows[check, site]["passed"] for site in "ABCDE"]
              for check in ("deletion", "randomisation")}  # fmt: skip
    assert passed["deletion"] == [True, False, None, False, None]
    assert passed["randomisation"] == [True, False, None, False, None]
    own = rows["deletion", "B"]
    assert (own["n"], own["value"], own["low"], own["high"]) == (2, 1.0, -1.0, 3.0)
    everybody = rows["deletion", "all"]
    assert (everybody["n"], everybody["value"]) == (8, pytest.approx(9 / 8))
    # A map that is flat after redrawing has no correlation: the person counts in one check only.
    assert rows["randomisation", "E"]["n"] == 0
    assert np.isnan(rows["randomisation", "E"]["value"])
    assert rows["randomisation", "all"]["n"] == 7


def test_an_empty_sample_gives_empty_curves_and_checks_without_an_outcome():
    nothing = make_evidence([], [])
    assert deletion_rows(nothing, seed=0) == []
    rows = check_rows(nothing, seed=0)
    assert [(row["site"], row["n"], row["passed"]) for row in rows] == [("all", 0, None)] * 2


class OneVoxel(torch.nn.Module):
    """Speaks for the second site by the brightness of one voxel; it has nothing to draw anew."""

    def __init__(self):
        super().__init__()
        self.cells = torch.nn.Identity()  # the grid that HiResCAM looks at

    def forward(self, volumes):
        i, j, k = PLACE
        speaks = 20 * (self.cells(volumes)[:, 0, i, j, k] - 0.75)
        return torch.stack([-speaks, speaks], dim=1)


def make_training(context):
    """The toy study's scans, and a network for both folds that was never trained."""
    study = context.study
    native = DiskVolumes([scan_files(scan) for scan in study.training_scans], study.scaling_mask)
    source = map_volumes(native, resolution_mm=1.0, folder=context.work_dir)
    folds = make_folds(study.site_of_participant(), n_folds=2, seed=0)
    training = ClassifierTraining(
        source=select(source, study.eligible), folds=folds, sites=SITES[:2],
        settings=context.settings, runtime=context.runtime, folder=context.work_dir,
        fingerprint="toys",
    )  # fmt: skip
    network = Classifier(
        OneVoxel(), SITES[:2], source.shape, source.voxel_size_mm, torch.device("cpu")
    )
    return training, [FoldModel(network, fold.validation) for fold in folds]


def accuracy():
    """A network that names the site, and brain controls that say it is in the brain."""
    models = {"network": (0.9, 1.0), "brainonly": (0.8, 1.0), "headwithoutbrain": (0.4, 0.7)}
    return [
        {"model": model, "split": "validation", "balanced_accuracy": (low + high) / 2,
         "balanced_low": low, "balanced_high": high, "chance": 0.5, "p_permutation": 0.001}
        for model, (low, high) in models.items()
    ]  # fmt: skip


def write_tables(context):
    training, folds = make_training(context)
    explained, shares = explain(context, training, folds, (folds[0].classifier, training.source))
    means, warnings = write_means(context, explained)
    files, notes = write_saliency_tables(
        context, training, folds, shares=shares, accuracy=accuracy(), regions=regions_of(context)
    )
    return files, (means, warnings, notes)


def regions_of(context):
    """The app's own regions, on the grid of the mean maps."""
    return study_regions(None, resolution_mm=template_grid(context.study).voxel_size_mm[0])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """All five tables of the known network, and what was told."""
    folder = tmp_path_factory.mktemp("saliency")
    study = write_study(folder / "out", n_per_site=5, n_travelling=0)
    context = make_context(study, folder / "work", effort="full")
    files, told = write_tables(context)
    return context, {path.stem: read_tsv(path) for path in files}, told


def test_the_five_tables_have_the_documented_columns_and_no_other(written):
    context, tables, _ = written
    assert {name: list(table.columns) for name, table in tables.items()} == TABLES
    text = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text(encoding="utf-8")
    for name, columns in TABLES.items():
        described = json.loads((context.study.output_dir / f"{name}.json").read_text())
        assert list(described) == columns
        assert all(cell["Description"] for cell in described.values())
        section = text.partition(f"### `{name}.tsv`")[2].partition("\n### ")[0]
        assert [column for column in columns if f"`{column}`" not in section] == []


def test_shares_stand_for_every_scan_and_for_other_methods_on_four_scans_a_site(written):
    table = written[1]["group_saliency"]
    counts = table.groupby(["method", "site"]).size()
    assert counts.unstack().loc[list(METHODS)].to_numpy().tolist() == [[5, 5], [4, 4], [4, 4]]
    own = table[table["method"] == METHODS[0]].astype({"in_brain": float, "brain_ratio": float})
    # One voxel of the brain, smoothed by one voxel: nearly all of it stays in the brain.
    assert own["in_brain"].between(0.6, 1).all()
    assert (own["brain_ratio"] > 1.1).all()


def test_the_region_that_holds_the_deciding_voxel_comes_first(written):
    table = written[1]["group_saliencyregions"].astype({"rank": int, "share": float})
    top = table[table["rank"] == 1].set_index(["method", "site"])
    # Brightness speaks for the second site alone: gradient times it is below 0 for the first.
    expected = {(m, s) for m in METHODS for s in SITES[:2]} - {("hirescam", SITES[0])}
    assert set(top.index) == expected
    for method, site in expected:
        row = top.loc[(method, site)]
        assert row["region"] == "right parietal lobe"
        peak = row[["x_mm", "y_mm", "z_mm"]].astype(float).to_numpy(dtype=float)
        assert np.linalg.norm(peak - [30, -30, 30]) < (13 if method != "occlusion" else 25)
    for _, own in table.groupby(["method", "site"]):
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        assert own["share"].is_monotonic_decreasing
        assert own["share"].sum() <= 1 + 1e-9


def test_the_marked_voxel_goes_in_the_first_blocks(written):
    table = written[1]["group_saliencydeletion"].astype({"removed_fraction": float})
    assert set(table["n"]) == {"5"}
    for _, own in table.groupby("site"):
        curves = {
            order: rows.sort_values("removed_fraction")["log_odds"].astype(float).to_numpy()
            for order, rows in own.groupby("order")
        }
        assert sorted(own["removed_fraction"].unique()) == list(FRACTIONS)
        by_map, at_random = curves["saliency"], curves["random"]
        assert by_map[0] == pytest.approx(at_random[0])
        assert by_map[-1] == pytest.approx(at_random[-1])
        assert by_map[1] == pytest.approx(by_map[-1], abs=1e-6)  # nothing else counts
        assert at_random[1] > by_map[1] + 1


def test_a_network_without_weights_passes_deletion_and_fails_randomisation(written):
    checks = written[1]["group_saliencychecks"].set_index(["check", "site"])
    assert checks.loc["deletion", "passed"].tolist() == ["true"] * 3
    assert checks.loc["randomisation", "passed"].tolist() == ["false"] * 3
    assert checks.loc["randomisation", "value"].astype(float).tolist() == pytest.approx([1] * 3)
    assert checks.loc["deletion", "n"].tolist() == ["5", "5", "10"]
    verdict = written[1]["group_siteverdict"].set_index("question")
    assert verdict.loc["site_visible", ["answer", "value", "threshold"]].tolist() == [
        "yes", "0.95", "0.5",
    ]  # fmt: skip
    inside = verdict.loc["decides_inside_brain"]
    assert inside["answer"] == "cannot tell"
    assert inside["reason"] == "the maps failed the check by randomisation over all sites"
    assert float(inside["value"]) > 1.1
    assert written[2][2][0].startswith("the site is decided inside the brain: cannot tell (the")


def test_without_brain_masks_nothing_lies_inside_and_the_verdict_says_why(tmp_path):
    study = write_study(tmp_path / "out", n_per_site=2, n_travelling=0)
    bare = replace(
        study, scaling_mask="head", scans=tuple(replace(s, brain_mask=None) for s in study.scans)
    )
    files, _ = write_tables(make_context(bare, tmp_path / "work", effort="quick"))
    tables = {path.stem: read_tsv(path) for path in files}
    assert len(tables["group_saliency"]) == 4
    assert tables["group_saliency"][["in_brain", "brain_ratio"]].isna().all().all()
    inside = tables["group_siteverdict"].set_index("question").loc["decides_inside_brain"]
    assert inside["answer"] == "cannot tell"
    assert "no brain masks (--brain-mask none), so the study has no inside" in inside["reason"]
    assert pd.isna(inside["value"])


def test_a_study_whose_sample_has_no_usable_scan_gets_tables_without_a_curve(tmp_path):
    study = write_study(tmp_path / "out", n_per_site=2, n_travelling=0)
    context = make_context(study, tmp_path / "work")
    training, folds = make_training(context)
    nobody = replace(training, source=select(training.source, frozenset()))
    evidence = gather_evidence(context, nobody, folds)
    assert deletion_rows(evidence, seed=0) == []
    assert [row["n"] for row in check_rows(evidence, seed=0)] == [0, 0]
    files, notes = write_saliency_tables(
        context, nobody, folds, shares={}, accuracy=accuracy(), regions=regions_of(context)
    )
    tables = {path.stem: read_tsv(path) for path in files}
    assert list(tables["group_saliencydeletion"].columns) == TABLES["group_saliencydeletion"]
    assert tables["group_saliencydeletion"].empty
    assert "too few saliency maps with a brain mask" in notes[0]


def test_rows_of_the_shares_are_sorted_by_file_and_begin_with_the_default_method(tmp_path):
    study = write_study(tmp_path, n_per_site=1, n_travelling=0)
    first, second = (scan.stem for scan in study.scans)
    rows = share_rows(
        study,
        {second: (0.5, 1.25), first: (0.25, 0.75)},
        {(second, "occlusion"): (0.1, 0.2)},
    )
    assert [(row["participant_id"], row["method"]) for row in rows] == [
        ("sub-Leeds0", METHODS[0]), ("sub-Nara0", METHODS[0]), ("sub-Nara0", "occlusion"),
    ]  # fmt: skip
    assert rows[1] == {
        "filename": "sub-Nara0/ses-Nara/anat/sub-Nara0_ses-Nara_desc-preproc_T1w.nii.gz",
        "participant_id": "sub-Nara0", "site": "Nara", "method": METHODS[0],
        "in_brain": 0.5, "brain_ratio": 1.25,
    }  # fmt: skip
