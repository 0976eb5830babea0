"""A card from one hospital to another, by the command line alone."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bids_harmonize.phantom import write_study
from tests.app.conftest import run_app
from tests.benchmarks.true_derivative import write_derivative

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]

FAST = "[classifier]\nn_epochs = 2\n\n[harmonizer]\nn_iterations = 100\n"
REFERENCE = "SiteA"


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory) -> tuple[Path, Path]:
    """Two derivatives without a scan in common: SiteA's, and that of SiteB and SiteC."""
    folder = tmp_path_factory.mktemp("hospitals")
    write_study(
        folder / "bids", n_sites=3, n_per_site=10, n_travelling=2, resolution_mm=6.0, seed=11
    )
    write_derivative(folder / "bids", folder / "reference", resolution_mm=6.0)
    shutil.copytree(folder / "reference", folder / "local")
    tables = sorted((folder / "reference").glob("sub-*/**/*_scans.tsv"))
    sites = {table: set(pd.read_csv(table, sep="\t")["site"]) for table in tables}
    people = pd.Series([table.name.split("_")[0] for table in tables]).value_counts()
    travelling = set(people.index[people > 1])
    assert len(travelling) == 2
    for table, (site,) in sites.items():
        own = table.relative_to(folder / "reference").parent
        if site == REFERENCE:
            shutil.rmtree(folder / "local" / own)
        # SiteA knows who travels and keeps these people out of its card.
        if site != REFERENCE or table.name.split("_")[0] in travelling:
            shutil.rmtree(folder / "reference" / own)
    for output_dir in (folder / "reference", folder / "local"):
        for empty in [path for path in output_dir.glob("sub-*") if not list(path.rglob("*.tsv"))]:
            shutil.rmtree(empty)
    return folder / "reference", folder / "local"


@pytest.fixture(scope="module")
def exported(hospitals) -> Path:
    """The card that SiteA sends; one site, nothing trained."""
    run = run_app(
        *("-", hospitals[0], "group", "--export-card", "--card-licence", "CC0-1.0"),
        *("--nprocs", 1),
    )
    assert run.returncode == 0, run.stderr
    assert "membership AUC" in run.stderr
    names = sorted(path.name for path in (hospitals[0] / "models").iterdir())
    assert names == [f"card_{REFERENCE}"]
    return hospitals[0] / "models" / f"card_{REFERENCE}"


def run_with_card(output_dir: Path, card: Path, *words: object):
    config = output_dir.parent / "fast.toml"
    config.write_text(FAST)
    return run_app(
        *("-", output_dir, "group", "--reference-card", card, "--config-file", config),
        *("--effort", "quick", "--folds", 2, "--nprocs", 2, *words),
    )


def test_two_sites_are_harmonized_judged_and_shown(hospitals, exported):
    output_dir = hospitals[1]
    run = run_with_card(output_dir, exported, "--stages", "classify", "harmonize", "evaluate")
    assert run.returncode == 0, run.stderr
    assert "is known by its card alone" in run.stderr
    images = list(output_dir.glob(f"sub-*/**/*_desc-harmonized{REFERENCE}_T1w.nii.gz"))
    assert len(images) == 20 + 2 * 2 * 2  # two people who travel, two sites, two runs
    sidecar = json.loads(Path(str(images[0]).replace(".nii.gz", ".json")).read_text())
    model = json.loads((exported / "model.json").read_text())
    assert sidecar["ReferenceCards"] == [
        {"Site": REFERENCE, "Sha256": model["sha256"], "Participants": 10}
    ]
    kinds = pd.read_csv(output_dir / "group_travelling.tsv", sep="\t").groupby("kind")
    assert set(kinds.groups) == {"agreement"}
    agreement = kinds.get_group("agreement")
    brain = agreement[(agreement["mask"] == "brain") & (agreement["metric"] == "psnr")]
    means = brain.groupby("method")["value"].mean()
    assert means["localhistogram"] > means["identity"]
    probes = pd.read_csv(output_dir / "group_siteprobe.tsv", sep="\t")
    fresh = probes[(probes["probe"] == "reseeded") & (probes["method"] == "localhistogram")]
    assert fresh["balanced_accuracy"].between(0, 1).all()
    assert (fresh["chance"] == 0.5).all()
    assert probes["share_reference"].isna().all()
    page = (output_dir / "group.html").read_text()
    assert "The reference is known by its card alone" in page
    assert f"{REFERENCE} (10 people, sha256 {model['sha256'][:12]})" in page
    assert "(10 people, sha256" in (output_dir / "logs" / "CITATION.md").read_text()


def test_one_local_site_is_enough_and_pages_are_written_without_the_card(
    hospitals, exported, tmp_path
):
    output_dir = tmp_path / "one"
    shutil.copytree(hospitals[1], output_dir, ignore=shutil.ignore_patterns(
        "models", ".work", "group*", "logs", "*harmonized*"))  # fmt: skip
    for table in sorted(output_dir.glob("sub-*/**/*_scans.tsv")):
        if set(pd.read_csv(table, sep="\t")["site"]) == {"SiteC"}:
            shutil.rmtree(table.parent)
    card = shutil.copytree(exported, tmp_path / "mail" / "card_SiteA")
    run = run_with_card(output_dir, card)
    assert run.returncode == 0, run.stderr
    assert "classify cannot run" in run.stderr
    assert "closeness to it cannot be judged" in run.stderr
    assert not (output_dir / "group_travelling.tsv").exists()
    verdict = pd.read_csv(output_dir / "group_verdict.tsv", sep="\t")
    needs_nobody_else = verdict["question"].str.contains("lesions")
    assert set(verdict.loc[~needs_nobody_else, "answer"]) == {"cannot tell"}
    assert needs_nobody_else.sum() == 1
    shutil.rmtree(card)
    (output_dir / "group.html").unlink()
    again = run_app("-", output_dir, "group", "--reports-only")
    assert again.returncode == 0, again.stderr
    assert "The reference is known by its card alone" in (output_dir / "group.html").read_text()
