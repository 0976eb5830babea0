"""``--export-card`` and ``--reference-card`` as a stage and on the page."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from bids_harmonize.bids.names import card_folder, harmonizer_folder, scan_output
from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers.card import save_card
from bids_harmonize.report.group_inputs import GroupInputs, _read_harmonizers
from bids_harmonize.report.group_reference import reference_findings, reference_sentence
from bids_harmonize.stages import StageContext, can_run, run_stage
from bids_harmonize.stages.harmonization.card import export_card
from bids_harmonize.stages.harmonization.card_reference import (
    FAR,
    card_warnings,
    load_reference_card,
    other_scanner_warning,
)
from bids_harmonize.training.checkpoint import load_weights
from bids_harmonize.training.runtime import make_runtime
from tests.stages.small_study import write_small_study

SHORT = {"n_iterations": 8, "check_every": 4, "learning_rate": 2e-3}


def make_context(study, work_dir, **group):
    values = {"group": {"harmonizer": "localhistogram", **group}, "harmonizer": SHORT}
    if "export_card" in group:
        values = {"group": group}
    return StageContext(
        study=study,
        settings=make_settings(values, source="test"),
        work_dir=work_dir,
        run_id="first",
        runtime=make_runtime(ResourceSettings(device="cpu", nprocs=1)),
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The reference hospital: eleven people of site A, and its card."""
    folder = tmp_path_factory.mktemp("reference")
    study = write_small_study(folder / "out", sites=("A",), n_per_site=11, n_travelling=0)
    context = make_context(study, folder / "work", export_card=True, card_licence="CC-BY-4.0")
    return context, export_card(context)


@pytest.fixture(scope="module")
def local(tmp_path_factory, published):
    """Another hospital: site B trains; one person came from a visit at A."""
    folder = tmp_path_factory.mktemp("local")
    study = write_small_study(folder / "out", sites=("A", "B"), n_per_site=4, n_travelling=1)
    study = replace(
        study,
        scans=tuple(s for s in study.scans if not s.participant_id.startswith("sub-A")),
        trained_sites=("B",),
        eligible=frozenset(p for p in study.eligible if p.startswith("sub-B")),
        outside_reference=True,
    )
    path = str(card_folder(published[0].study.output_dir, "A"))
    context = make_context(study, folder / "work", reference_card=(path,))
    return context, run_stage("harmonize", context), run_stage("evaluate", context)


def test_the_card_folder_holds_numbers_description_and_readme(published):
    context, result = published
    folder = card_folder(context.study.output_dir, "A")
    names = ["README.md", "model.json", "model.safetensors"]
    assert [path.name for path in result.files] == names
    assert result.warnings == ()
    _, model = load_weights(folder)
    assert (model["n_people"], model["licence"]) == (11, "CC-BY-4.0")
    assert model["reference_site"] == "A"
    assert model["kind"] == "reference_card"
    assert 0.05 < model["leave_one_out"]["mean"] < 0.2
    assert "sub-" not in (folder / "model.json").read_text() + (folder / "README.md").read_text()
    assert any("kB" in note and "11 people" in note for note in result.notes)
    size = sum(path.stat().st_size for path in result.files)
    assert size < 40_000


def test_a_card_without_licence_is_a_warning(published):
    context, _ = published
    values = {"group": {"export_card": True}}
    (told,) = export_card(replace(context, settings=make_settings(values, source="test"))).warnings
    assert "--card-licence" in told


def test_nine_people_are_refused_with_what_to_do(published):
    context, _ = published
    few = replace(context.study, eligible=frozenset(sorted(context.study.eligible)[:9]))
    with pytest.raises(UnusableDataError, match=r"site has 9 .*Wait for more people"):
        export_card(replace(context, study=few))


def test_one_local_site_is_harmonized_and_own_scans_of_the_reference_are_scaled(local):
    context, result, _ = local
    study = context.study
    assert result.failures == ()
    methods = {}
    for scan in study.scans:
        image = scan_output(study.output_dir, scan, "harmonized", reference="A")
        side = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
        methods.setdefault(scan.site, set()).add(side["HarmonizationMethod"])
        assert side["HarmonizationReference"] == "A"
        (card,) = side["ReferenceCards"]
        assert (card["Site"], card["Participants"]) == ("A", 11)
        assert len(card["Sha256"]) == 64
    assert methods == {"A": {"scaling"}, "B": {"localhistogram"}}
    folder = harmonizer_folder(study.output_dir, "localhistogram", "A")
    people = pd.read_csv(folder / "training.tsv", sep="\t")["participant_id"]
    assert set(people) == {f"sub-B{number}" for number in range(4)}
    names = sorted(path.name for path in (study.output_dir / "models").iterdir())
    assert names == ["identity_to-A", "localhistogram_to-A", "n4_to-A"]
    assert any("from 11 people; none of its images was used" in note for note in result.notes)
    assert any("only local site" in warning for warning in result.warnings)


def test_evaluation_judges_what_it_can_and_names_the_rest(local):
    context, _, result = local
    output_dir = context.study.output_dir
    table = pd.read_csv(output_dir / "group_travelling.tsv", sep="\t")
    direct = table[table["kind"] == "direct"]
    assert set(direct["method"]) >= {"identity", "n4", "localhistogram", "ceiling", "blur"}
    assert "localhistogram" not in set(table.loc[table["kind"] == "reverse", "method"])
    probes = pd.read_csv(output_dir / "group_siteprobe.tsv", sep="\t")
    assert probes["balanced_accuracy"].isna().all()
    assert probes["mmd"].isna().all()
    assert result.failures == ()
    (note,) = [note for note in result.notes if "by its card alone" in note]
    assert "1 travelling subjects with real scans there were scored" in note
    assert "with one local site there is no site for a probe to tell" in note


def test_classify_needs_two_local_sites_and_the_others_one(local):
    study = local[0].study
    assert "needs two sites" in can_run("classify", study)
    assert can_run("harmonize", study) is None
    assert can_run("evaluate", study) is None


def test_an_unchanged_card_reuses_and_another_one_refits(local, published, tmp_path):
    context, _, _ = local
    again = run_stage("harmonize", replace(context, run_id="second"))
    assert not any(note.startswith("fitted") for note in again.notes)
    path = card_folder(published[0].study.output_dir, "A")
    tensors, model = load_weights(path)
    save_card(tmp_path / "card", tensors["histograms"] * 2, model)
    study = replace(context.study, output_dir=context.study.output_dir)
    other = make_context(
        study, tmp_path / "work", reference_card=(str(tmp_path / "card"),), stages=("harmonize",)
    )
    assert any("fitted" in note for note in run_stage("harmonize", other).notes)


def test_scans_of_another_scanner_with_the_name_of_the_card_are_told(local, published, tmp_path):
    context, result, _ = local
    assert not any("another scanner" in warning for warning in result.warnings)
    scans = tuple(replace(s, site="A") if s.participant_id == "sub-B0" else s
                  for s in context.study.scans)  # fmt: skip
    study = replace(context.study, scans=scans, eligible=context.study.eligible - {"sub-B0"})
    card = load_reference_card(study, context.settings)
    told = other_scanner_warning(
        replace(context, study=study, work_dir=tmp_path), replace(card, person_distance=1e-4)
    )
    assert "is it another scanner of the same name?" in told
    assert FAR > 1


def test_another_bias_correction_than_the_cards_is_told(local):
    context, _, _ = local
    card = load_reference_card(context.study, context.settings)
    corrected = replace(card, sources=({**card.sources[0], "bias_correction": "n4"},))
    scan = context.study.training_scans[0]
    sidecar = scan.t1w.with_name(scan.t1w.name.replace(".nii.gz", ".json"))
    sidecar.write_text('{"BiasCorrection": "none"}')
    try:
        (told,) = card_warnings(context, corrected)
        assert "--bias-correction n4, this study's have none" in told
        assert card_warnings(context, card) == []
    finally:
        sidecar.unlink()


def test_a_study_on_another_grid_or_mask_is_told_at_once(local):
    context, _, _ = local
    coarse = replace(context.study, voxel_size_mm=7.0, scaling_mask="head")
    with pytest.raises(UnusableDataError) as raised:
        load_reference_card(coarse, context.settings)
    told = str(raised.value)
    assert "this study has voxels of 7 mm, which is coarser" in told
    assert "the unit of this study is taken in the head" in told
    shaped = replace(context.study, grid_shape=(32, 32, 40))
    with pytest.raises(UnusableDataError, match="32 x 32 x 40 voxels: both must use the same"):
        load_reference_card(shaped, context.settings)


def test_a_harmonizer_is_no_card(local):
    context, _, _ = local
    folder = harmonizer_folder(context.study.output_dir, "localhistogram", "A")
    wrong = make_context(context.study, context.work_dir, reference_card=(str(folder),))
    with pytest.raises(UnusableDataError, match="holds a trained localhistogram, not a card"):
        run_stage("harmonize", wrong)


def test_the_page_says_which_card_from_how_many_people(local):
    context, _, _ = local
    output_dir = context.study.output_dir
    inputs = GroupInputs(
        output_dir=output_dir, tables={}, scans=pd.DataFrame(), run=None, study=context.study,
        study_problem="", dataset={},
        harmonizers=tuple(f for f in _read_harmonizers(output_dir) if f.name == "localhistogram"),
    )  # fmt: skip
    sha256 = inputs.harmonizers[0].model["learnt"]["cards"][0]["sha256"]
    assert reference_sentence(inputs) == (
        f"In place of images of the reference, the reference card of A (11 people, sha256 "
        f"{sha256[:12]}) was used."
    )
    assert [row.level for row in reference_findings(inputs)] == ["note"]
