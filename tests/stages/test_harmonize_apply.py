"""Stage harmonize with --model-dir, and one scan after the other without any study."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import harmonizer_folder, scan_output
from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.errors import SiteError, UnusableDataError, UsageError
from bids_harmonize.stages import StageContext, run_stage
from bids_harmonize.stages.harmonization.apply import load_applied, served_scans
from bids_harmonize.stages.harmonization.apply_scans import harmonize_scans
from bids_harmonize.training.runtime import make_runtime
from tests.stages.small_study import write_small_study

HOLDER = """
import sys
from pathlib import Path
from bids_harmonize.bids.claims import Claims
print(Claims(Path(sys.argv[1])).take(sys.argv[2]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A study harmonized by generators that it trained for two iterations."""
    folder = tmp_path_factory.mktemp("fitted")
    study = write_small_study(folder / "out", n_per_site=3, n_travelling=0)
    values = {
        "group": {"stages": ("harmonize",), "harmonizer": "localhistogram"},
        "harmonizer": {"n_iterations": 2, "check_every": 1},
    }
    settings = make_settings(values, source="test")
    runtime = make_runtime(ResourceSettings(device="cpu", nprocs=1))
    context = StageContext(study, settings, folder / "work", "fit", runtime)
    with pytest.MonkeyPatch.context() as monkeypatch:
        names = ("nyul", "localhistogram")
        monkeypatch.setattr("bids_harmonize.stages.harmonize.names_to_fit", lambda _: names)
        run_stage("harmonize", context)
    return context


@pytest.fixture
def new(tmp_path):
    """The same images in another place, of which nothing is known but their sites."""
    study = write_small_study(tmp_path / "new", n_per_site=3, n_travelling=0)
    return replace(
        study, trained_sites=(), eligible=frozenset(), travelling=frozenset(), reference_site=""
    )


@pytest.fixture
def apply_to(fitted, tmp_path):
    """The stage's context for a study and a model of the fitted study."""

    def make(study, name="localhistogram", models=None, **group):
        models = models or fitted.study.output_dir / "models"
        values = {
            "group": {"model_dir": str(models), "harmonizer": name, **group},
            "site": {"reference_site": "A"},
        }
        settings = make_settings(values, source="test")
        return StageContext(study, settings, tmp_path / "work", "apply", fitted.runtime)

    return make


def image_of(study, scan):
    return scan_output(study.output_dir, scan, "harmonized", reference="A")


def sidecar_of(study, scan):
    image = image_of(study, scan)
    return json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())


def broken_copy(fitted, folder, source="nyul", **changes):
    """A fitted model with another model.json."""
    source = harmonizer_folder(fitted.study.output_dir, source, "A")
    target = folder / "models" / source.name
    target.mkdir(parents=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    model = json.loads((target / "model.json").read_text())
    kept = {key: value for key, value in {**model, **changes}.items() if value is not None}
    (target / "model.json").write_text(json.dumps(kept))
    return target


def one_by_one(context, study, scans=None, **options):
    applied = load_applied(context.settings)
    with Claims(study.output_dir) as claims:
        return harmonize_scans(
            study.scans if scans is None else scans,
            applied.maker(study.output_dir, None),
            claims=claims,
            **{"resume": True, "run_id": "alone", **options},
        )


def test_both_levels_write_the_very_file_of_the_run_that_trained(fitted, new, apply_to):
    wanted = {scan.stem: image_of(fitted.study, scan).read_bytes() for scan in new.scans}
    alone = new.scans[-1]
    found = one_by_one(apply_to(new), new, [alone])
    assert found.made == (alone.stem,)
    assert image_of(new, alone).read_bytes() == wanted[alone.stem]
    assert [image_of(new, scan).exists() for scan in new.scans].count(True) == 1
    before = image_of(new, alone).stat().st_mtime_ns
    result = run_stage("harmonize", apply_to(new))
    assert {scan.stem: image_of(new, scan).read_bytes() for scan in new.scans} == wanted
    assert image_of(new, alone).stat().st_mtime_ns == before
    assert "6 images were brought to A by localhistogram" in result.notes[0]
    assert "1 of them were unchanged; nothing was fitted" in result.notes[0]
    assert not (new.output_dir / "models").exists()
    assert not (new.output_dir / ".harmonize-new").exists()


def test_sidecars_name_the_model_and_hold_no_run_at_participant_level(fitted, new, apply_to):
    scan = new.scans[-1]
    one_by_one(apply_to(new), new, [scan])
    there, here = sidecar_of(fitted.study, scan), sidecar_of(new, scan)
    assert there.pop("RunId") == "fit"
    assert here == there
    assert here["HarmonizationModel"] == "localhistogram_to-A"
    assert (here["Site"], here["HarmonizationUnseenSite"], here["RandomSeed"]) == ("B", False, 0)


def test_scans_of_foreign_sites_are_listed_and_left_out(new, apply_to):
    scans = tuple(
        replace(scan, site={"sub-B0": "Oslo", "sub-B1": "n/a"}.get(scan.participant_id, scan.site))
        for scan in new.scans
    )
    result = run_stage("harmonize", apply_to(replace(new, scans=scans), "nyul"))
    (warning,) = result.warnings
    assert "knows the sites A, B only: " in warning
    assert "sub-B0_ses-B_run-1 (Oslo), sub-B1_ses-B_run-1 (site unknown)" in warning
    assert result.failures == ()
    assert result.summary.startswith("4 images by nyul to A (model ")
    assert result.summary.endswith("...), 2 left out for their site")
    made = [scan.participant_id for scan in scans if image_of(new, scan).exists()]
    assert made == ["sub-A0", "sub-A1", "sub-A2", "sub-B2"]


def test_no_scan_of_a_known_site_is_an_error_that_lists_them(new, apply_to):
    oslo = replace(new, scans=tuple(replace(scan, site="Oslo") for scan in new.scans))
    with pytest.raises(SiteError, match=r"sites A, B, and no scan.*sub-A0_ses-A_run-1 \(Oslo\)"):
        run_stage("harmonize", apply_to(oslo, "nyul"))


def test_a_model_that_serves_unseen_sites_leaves_nobody_out(new, apply_to):
    applied = load_applied(apply_to(new, "nyul").settings)
    sites = {"sub-1": "A", "sub-2": "Oslo", "sub-3": "n/a"}
    pairwise = served_scans(sites, applied)
    assert (pairwise.stems, pairwise.unseen) == ({"sub-1"}, {})
    assert pairwise.left_out == {"sub-2": "Oslo", "sub-3": "n/a"}
    applied.harmonizer.frame = replace(applied.harmonizer.frame, sources="joint")
    joint = served_scans(sites, applied)
    assert (joint.stems, joint.left_out) == (set(sites), {})
    assert joint.unseen == {"sub-2": "Oslo", "sub-3": "n/a"}


def test_all_that_does_not_fit_is_told_at_once(new, apply_to):
    odd = replace(new, grid_shape=(40, 40, 40), voxel_size_mm=3.0, scaling_mask="head")
    with pytest.raises(UnusableDataError) as caught:
        run_stage("harmonize", apply_to(odd))
    assert "found voxels of 3 mm, expected 6 mm" in str(caught.value)
    assert "found a grid of 40 x 40 x 40 voxels, expected 32 x 32 x 32" in str(caught.value)
    assert "found scans without brain masks, expected scans with" in str(caught.value)
    assert not list(new.output_dir.glob("**/*harmonized*"))


def test_another_bias_correction_than_in_training_does_not_fit(fitted, new, apply_to, tmp_path):
    folder = broken_copy(fitted, tmp_path, preprocessing={"bias_correction": "none"})
    run_stage("harmonize", apply_to(new, "nyul", folder))
    scan = new.scans[0]
    path = scan.t1w.with_name(scan.t1w.name.replace(".nii.gz", ".json"))
    path.write_text(json.dumps({"Settings": {"bias_correction": "n4"}}))
    with pytest.raises(UnusableDataError, match="--bias-correction n4, expected none"):
        run_stage("harmonize", apply_to(new, "nyul", folder))


def test_images_of_another_harmonizer_are_refused_or_replaced(new, apply_to):
    run_stage("harmonize", apply_to(new, "nyul"))
    with pytest.raises(UsageError, match=r"nyul to A.*--overwrite-harmonized"):
        run_stage("harmonize", apply_to(new))
    run_stage("harmonize", apply_to(new, overwrite_harmonized=True))
    assert {sidecar_of(new, scan)["Harmonizer"] for scan in new.scans} == {"localhistogram"}


def test_a_scan_alone_takes_the_place_of_an_image_of_another_reference(new, apply_to):
    scan, other = new.scans[0], new.scans[1]
    for one in (scan, other):
        old = scan_output(new.output_dir, one, "harmonized", reference="B")
        write_image(old, np.ones((4, 4, 4)), np.eye(4))
        old.with_name(old.name.replace(".nii.gz", ".json")).write_text("{}")
    one_by_one(apply_to(new, "nyul"), new, [scan])
    folder = image_of(new, scan).parent
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{scan.stem}_desc-harmonizedA_T1w{ending}" for ending in (".json", ".nii.gz")
    ]
    assert scan_output(new.output_dir, other, "harmonized", reference="B").is_file()


def test_another_site_or_brain_mask_makes_an_image_anew(new, apply_to):
    scan, context = new.scans[-1], apply_to(new, "nyul")
    one_by_one(context, new, [scan])
    assert one_by_one(context, new, [scan]).kept == (scan.stem,)
    assert one_by_one(context, new, [scan], resume=False).made == (scan.stem,)
    moved = replace(scan, site="A")
    assert one_by_one(context, new, [moved]).made == (scan.stem,)
    assert sidecar_of(new, scan)["HarmonizationMethod"] == "scaling"
    mask, affine = read_mask(scan.brain_mask)
    mask[:16] = False
    write_image(scan.brain_mask, mask, affine, dtype=np.uint8)
    before = read_image(image_of(new, scan))[0]
    assert one_by_one(context, new, [moved]).made == (scan.stem,)
    assert not np.array_equal(read_image(image_of(new, scan))[0], before)


def test_an_image_without_its_sidecar_is_made_again(new, apply_to):
    scan, context = new.scans[0], apply_to(new, "nyul")
    one_by_one(context, new, [scan])
    image = image_of(new, scan)
    image.with_name(image.name.replace(".nii.gz", ".json")).unlink()
    image.write_bytes(b"half")
    assert one_by_one(context, new, [scan]).made == (scan.stem,)
    assert read_image(image)[0].shape == (32, 32, 32)


def test_a_scan_that_cannot_be_harmonized_leaves_a_crash_file_for_as_long(new, apply_to):
    good, bare, cut = new.scans[:3]
    whole = cut.t1w.read_bytes()
    cut.t1w.write_bytes(whole[:2000])
    context = apply_to(new, "nyul")
    found = one_by_one(context, new, [replace(bare, brain_mask=None), cut, good])
    assert found.made == (good.stem,)
    assert "found no brain mask" in found.failures[bare.stem]
    assert "truncated" in found.failures[cut.stem]
    crash = new.output_dir / cut.participant_id / "log" / "alone" / f"group-crash-{cut.stem}.txt"
    assert "truncated" in crash.read_text().splitlines()[0]
    cut.t1w.write_bytes(whole)
    assert one_by_one(context, new, [cut], run_id="again").made == (cut.stem,)
    assert not crash.exists()


def test_a_scan_that_another_run_holds_is_left_to_it(new, apply_to):
    held, free = new.scans[:2]
    command = [sys.executable, "-c", HOLDER, str(new.output_dir), f"scan {held.stem}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "True\n"
        found = one_by_one(apply_to(new, "nyul"), new, [held, free])
        process.kill()
    assert (found.busy, found.made) == ((held.stem,), (free.stem,))
    assert not image_of(new, held).exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 2}, "format_version is 2, expected 1"),
        ({"sha256": "0" * 64}, "was changed or its writing was interrupted"),
        ({"fingerprint": None}, "fingerprint missing"),
        ({"high": None}, "missing high"),
        ({"settings": {"odd": 1}}, "cannot use its settings or weights"),
        ({"source_sites": ["Oslo"], "name": "localhistogram"}, "cannot use its settings or"),
    ],
)
def test_a_model_that_is_not_whole_or_of_another_version_is_refused(
    fitted, new, apply_to, tmp_path, changes, words
):
    folder = broken_copy(fitted, tmp_path, **changes)
    name = changes.get("name", "nyul")
    with pytest.raises(UnusableDataError, match=words):
        load_applied(apply_to(new, name, folder).settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"source_sites": []},
        {"learnt": {"network_voxel_size_mm": 12.0, "fell_back": []}},
        {"learnt": {"network_voxel_size_mm": 6.0}},
    ],
)
def test_generators_that_this_version_cannot_take_are_refused(
    fitted, new, apply_to, tmp_path, changes
):
    folder = broken_copy(fitted, tmp_path, "localhistogram", **changes)
    with pytest.raises(UnusableDataError, match="this version cannot use its settings or weights"):
        load_applied(apply_to(new, models=folder).settings)


def test_missing_weights_are_told_with_the_folder(fitted, new, apply_to, tmp_path):
    folder = broken_copy(fitted, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnusableDataError, match=r"nyul_to-A: not a model folder .*safetensors"):
        load_applied(apply_to(new, "nyul", folder).settings)
