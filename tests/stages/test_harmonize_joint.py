"""The stage ``harmonize`` with ``--sources joint``, and a site that is too small to be trained."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import harmonizer_folder, scan_output
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.errors import DirectionError
from bids_harmonize.harmonizers.apply import image_distance
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext, run_stage
from bids_harmonize.stages.evaluate import Fitted, evaluate
from bids_harmonize.stages.harmonization.apply import load_applied
from bids_harmonize.stages.harmonization.apply_scans import harmonize_scans
from bids_harmonize.training.joint_training import JointTraining
from bids_harmonize.training.runtime import make_runtime
from tests.stages.small_study import write_small_study


def make_context(study, work_dir, *, sources="joint", run_id="first"):
    values = {
        "group": {"harmonizer": "localhistogram", "sources": sources, "stages": ("harmonize",)},
        "harmonizer": {"n_iterations": 2, "check_every": 1},
    }
    return StageContext(
        study=study,
        settings=make_settings(values, source="test"),
        work_dir=work_dir,
        run_id=run_id,
        runtime=make_runtime(ResourceSettings(device="cpu", nprocs=1)),
    )


def facts_of(image):
    return json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())


def sidecar_of(study, scan):
    return facts_of(
        scan_output(study.output_dir, scan, "harmonized", reference=study.reference_site)
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Sites A and B train, C is too small; one scan of C is unlike everything."""
    folder = tmp_path_factory.mktemp("joint") / "out"
    study = write_small_study(folder, sites=("A", "B", "C"), n_per_site=3, n_travelling=1)
    odd = study.scan("sub-C0_ses-C_run-1")
    volume, affine = read_image(odd.t1w)
    write_image(odd.t1w, np.where(volume > 0, 500 - volume, 0).astype(np.float32), affine)
    return replace(
        study,
        trained_sites=("A", "B"),
        left_out={"C": "3 participants, 5 are needed"},
        eligible=frozenset(p for p in study.eligible if "C" not in p),
    )


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    context = make_context(study, tmp_path_factory.mktemp("work"))
    return context, run_stage("harmonize", context)


def test_scans_of_a_left_out_site_are_harmonized_and_flagged(done):
    context, result = done
    study = context.study
    facts = {scan.stem: sidecar_of(study, scan) for scan in study.scans}
    unseen = {stem for stem, found in facts.items() if found["HarmonizationUnseenSite"]}
    assert unseen == {scan.stem for scan in study.of_site("C")}
    assert len(unseen) == 3 + 2
    assert all(found["HarmonizationDistance"] > 0 for found in facts.values())
    assert facts["sub-C1_ses-C_run-1"]["HarmonizationMethod"] == "localhistogram"
    assert facts["sub-A1_ses-A_run-1"]["HarmonizationMethod"] == "scaling"
    assert result.failures == ()


def test_the_notes_give_the_distances_and_far_scans_are_a_warning(done):
    context, result = done
    (note,) = [note for note in result.notes if "site C" in note]
    assert note.startswith("harmonized though not trained on, site C: 3 participants")
    found = sidecar_of(context.study, context.study.scan("sub-C1_ses-C_run-1"))
    assert f"sub-C1_ses-C_run-1 {found['HarmonizationDistance']:.2f}" in note
    (warning,) = [w for w in result.warnings if "farther from the training sites" in w]
    assert "sub-C0_ses-C_run-1 (" in warning
    assert any("images of 3 sites were brought to A" in note for note in result.notes)


def test_the_model_is_joint_and_the_baselines_are_not(done):
    context, _ = done
    folders = {
        name: harmonizer_folder(context.study.output_dir, name, "A")
        for name in ("localhistogram", "nyul")
    }
    kinds = {
        name: json.loads((folder / "model.json").read_text())["sources"]
        for name, folder in folders.items()
    }
    assert kinds == {"localhistogram": "joint", "nyul": "pairwise"}
    with pytest.raises(DirectionError, match="joint model"):
        load_harmonizer(folders["localhistogram"]).frame.direction("A", "B")
    assert load_harmonizer(folders["localhistogram"]).frame.direction("C", None) == ("C", "A")
    curve = read_tsv(folders["localhistogram"] / "training_curve.tsv")
    assert curve["source_site"].unique().tolist() == ["B"]


def test_an_unchanged_joint_study_is_reused_with_its_distances(done, monkeypatch):
    context, first = done
    monkeypatch.setattr(JointTraining, "step", None)
    again = run_stage("harmonize", replace(context, run_id="second"))
    assert set(again.files) == set(first.files)
    assert [w for w in again.warnings if "farther" in w] == [
        w for w in first.warnings if "farther" in w
    ]


def test_evaluation_of_a_joint_model_has_no_reverse_and_no_crash(done):
    context, _ = done
    folder = harmonizer_folder(context.study.output_dir, "localhistogram", "A")
    fitted = Fitted({"localhistogram": load_harmonizer(folder)}, halves=None, folds=())
    result = evaluate(context, fitted)
    table = read_tsv(context.study.output_dir / "group_travelling.tsv")
    kinds = table.groupby("method")["kind"].unique().map(sorted)
    assert kinds["localhistogram"] == ["direct"]
    assert kinds["blur"] == ["direct", "reverse"]
    assert result.failures == ()


def test_applied_elsewhere_the_joint_model_serves_a_foreign_scan_alike_at_both_levels(
    done, tmp_path
):
    context, _ = done
    study = write_small_study(tmp_path / "new", sites=("A", "C"), n_per_site=1, n_travelling=0)
    foreign = replace(study.scan("sub-C0_ses-C_run-1"), site="Oslo")
    new = replace(
        study, scans=(study.scan("sub-A0_ses-A_run-1"), foreign),
        trained_sites=(), eligible=frozenset(), travelling=frozenset(), reference_site="",
    )  # fmt: skip
    values = {
        "group": {
            "model_dir": str(context.study.output_dir / "models"),
            "harmonizer": "localhistogram",
            "sources": "joint",
        },
        "site": {"reference_site": "A"},
    }
    settings = make_settings(values, source="test")
    apply = replace(context, study=new, settings=settings, work_dir=tmp_path / "work")
    applied = load_applied(settings)
    with Claims(new.output_dir) as claims:
        maker = applied.maker(new.output_dir, None)
        found = harmonize_scans([foreign], maker, claims=claims, resume=True, run_id="alone")
    assert found.made == (foreign.stem,)
    image = scan_output(new.output_dir, foreign, "harmonized", reference="A")
    alone, facts = image.read_bytes(), facts_of(image)
    volume, head = read_image(foreign.t1w)[0], read_mask(foreign.head_mask)[0]
    brain = read_mask(foreign.brain_mask)[0]
    distance = image_distance(applied.harmonizer, volume, head_mask=head, brain_mask=brain)
    assert facts["HarmonizationUnseenSite"] is True
    assert facts["HarmonizationDistance"] == pytest.approx(distance, abs=1e-4)
    image.unlink()
    result = run_stage("harmonize", apply)
    assert image.read_bytes() == alone
    assert "1 of unseen sites" in result.summary
    (warning,) = [w for w in result.warnings if "flagged unseen_site" in w]
    assert "sub-C0_ses-C_run-1 (Oslo)" in warning


def test_going_back_to_pairwise_fits_anew_and_takes_the_unseen_images_away(done, tmp_path):
    context, _ = done
    copy = tmp_path / "out"
    shutil.copytree(context.study.output_dir, copy)
    moved = {
        scan.stem: replace(
            scan,
            **{name: copy / getattr(scan, name).relative_to(context.study.output_dir)
               for name in ("t1w", "head_mask", "brain_mask")},
        )
        for scan in context.study.scans
    }  # fmt: skip
    study = replace(context.study, output_dir=copy, scans=tuple(moved.values()))
    result = run_stage("harmonize", make_context(study, tmp_path / "work", sources="pairwise"))
    assert any(note == "fitted: localhistogram" for note in result.notes)
    for scan in study.scans:
        image = scan_output(copy, scan, "harmonized", reference="A")
        assert image.is_file() == (scan.site != "C")
    facts = sidecar_of(study, study.scan("sub-B1_ses-B_run-1"))
    assert facts["HarmonizationUnseenSite"] is False
    assert "HarmonizationDistance" not in facts
