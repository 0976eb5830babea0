"""``--reference-site median`` as a stage, in the evaluation and on the page."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from bids_harmonize.bids.names import harmonizer_folder, scan_output
from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.report.group_headline import headline_section
from bids_harmonize.report.group_inputs import GroupInputs, _read_harmonizers, read_group_table
from bids_harmonize.stages import StageContext, run_stage
from bids_harmonize.stages.evaluation.travelling import site_levels
from bids_harmonize.training.checkpoint import load_weights
from bids_harmonize.training.runtime import make_runtime
from tests.stages.small_study import train_briefly, write_small_study

pytestmark = pytest.mark.slow  # fits every method: 35 s

SHORT = {"n_iterations": 8, "check_every": 4, "learning_rate": 2e-3}
SITES = ("A", "B", "C")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("median")
    study = write_small_study(folder / "out", sites=SITES, n_per_site=10, n_travelling=2)
    study = replace(study, reference_site="median", outside_reference=True)
    values = {
        "site": {"reference_site": "median"},
        "group": {"harmonizer": "localhistogram", "effort": "quick"},
        "harmonizer": SHORT,
    }
    context = StageContext(
        study=study,
        settings=make_settings(values, source="test"),
        work_dir=folder / "work",
        run_id="first",
        runtime=make_runtime(ResourceSettings(device="cpu", nprocs=1)),
    )
    with pytest.MonkeyPatch.context() as patch:
        train_briefly(patch)
        return context, run_stage("harmonize", context), run_stage("evaluate", context)


def test_every_site_is_brought_to_the_median_and_the_outputs_say_so(ran):
    context, result, _ = ran
    study = context.study
    assert result.failures == ()
    for scan in study.scans:
        image = scan_output(study.output_dir, scan, "harmonized", reference="median")
        side = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
        assert side["HarmonizationReference"] == "median"
        assert side["HarmonizationMethod"] == "localhistogram"
        assert "a virtual site, the median of A, B, C" in side["Description"]
        assert "ReferenceCards" not in side
    names = sorted(path.name for path in (study.output_dir / "models").iterdir())
    methods = ("histogram", "identity", "localhistogram", "n4_histogram", "n4", "nyul")
    assert names == [f"{method}_to-median" for method in methods]


def test_each_half_has_a_median_of_its_own(ran):
    study = ran[0].study
    folder = harmonizer_folder(study.output_dir, "localhistogram", "median")
    highs = {part: load_weights(folder / part)[1]["high_ref"] for part in ("", "half-1", "half-2")}
    assert len(set(highs.values())) == 3
    for part in ("half-1", "half-2"):
        people = pd.read_csv(folder / part / "training.tsv", sep="\t")
        assert set(people["site"]) == set(SITES)


def test_what_cannot_be_close_to_a_real_scan_is_judged_by_agreement(ran):
    context, _, result = ran
    output_dir = context.study.output_dir
    assert result.failures == ()
    (note,) = [note for note in result.notes if "the median of all sites" in note]
    assert "agreement between local sites was scored on 2 people" in note
    table = pd.read_csv(output_dir / "group_methods.tsv", sep="\t")
    assert set(table["kind"]) == {"agreement"}
    pooled = table[(table["source_site"] == "all") & (table["metric"] == "psnr")]
    of_method = pooled[pooled["mask"] == "brain"].set_index("method")
    assert of_method["n"].eq(2).all()
    assert of_method.loc["histogram", "mean"] > of_method.loc["identity", "mean"] + 1
    assert of_method["p_vs_best_baseline"].notna().to_dict()["localhistogram"]
    # Blur makes images agree, so it stands beside them, and sharpness is held against the sites'.
    sharpness = table[(table["metric"] == "sharpness") & (table["source_site"] == "all")]
    assert {"blur", "identity", "localhistogram"} <= set(sharpness["method"])
    levels = site_levels(context.study)
    assert levels["median"] == sorted(levels[site] for site in SITES)[1]
    verdict = pd.read_csv(output_dir / "group_verdict.tsv", sep="\t")
    assert any("more alike than the raw ones" in question for question in verdict["question"])
    asked = verdict.set_index("question")["answer"]
    assert asked["Is it as sharp as the target site's own scans?"] in ("yes", "no")
    assert not any("real scan" in question for question in verdict["question"])
    probes = pd.read_csv(output_dir / "group_siteprobe.tsv", sep="\t")
    assert set(probes["method"]) == {"identity", "localhistogram", "nyul"}
    assert probes["mmd"].isna().all()
    folder = harmonizer_folder(output_dir, "localhistogram", "median")
    assert json.loads((folder / "evaluation.json").read_text())["gain"]["kind"] == "agreement"
    assert "agreed by" in (folder / "README.md").read_text()


def test_the_page_starts_with_the_virtual_reference(ran):
    context, _, _ = ran
    output_dir = context.study.output_dir
    methods = read_group_table(output_dir / "group_methods.tsv")
    inputs = GroupInputs(
        output_dir=output_dir, tables={"methods": methods}, scans=pd.DataFrame(), run=None,
        study=context.study, study_problem="", dataset={},
        harmonizers=_read_harmonizers(output_dir),
    )  # fmt: skip
    blocks = headline_section(inputs).blocks
    assert "Scans were brought to the look of the median of all sites by" in blocks[0].text
    assert "agrees between the sites where the person was scanned at" in blocks[0].text
    titles = [finding.title for finding in blocks[1].rows]
    assert "The reference is the median of all sites" in titles
