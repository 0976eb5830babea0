"""The stage ``features``: who is measured, in which arm, by which fit, and with what numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.bids.names import harmonizer_folder, scan_output
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import MissingInputError, ScanError, UnusableDataError
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import run_stage
from bids_harmonize.stages.feature_table.study import feature_sources, load_feature_study
from bids_harmonize.stages.tissue.density import density_mask, read_density
from bids_harmonize.stages.tissue.parcels import parcel_features
from bids_harmonize.stages.tissue.plan import choose_scans, load_models, plan_harmonized, plan_raw
from bids_harmonize.stages.tissue.scan import feature_names, measure
from tests.stages.feature_tables import make_feature_settings
from tests.stages.tissue_study import (
    found_tissue,
    make_tissue_context,
    shorten,
    write_tissue_study,
)

HALVES = ("half-1", "half-2")
REGIONS = [name for name in feature_names() if name.startswith("gm_") and name != "gm_volume_ml"]


@pytest.fixture(scope="module", autouse=True)
def _short():
    with pytest.MonkeyPatch.context() as monkeypatch:
        shorten(monkeypatch)
        found_tissue.cache_clear()
        yield
        found_tissue.cache_clear()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Six scans with tissue maps, one of them doubtful, harmonized by identity and measured."""
    folder = tmp_path_factory.mktemp("features")
    study = write_tissue_study(folder / "out", tissue=True)
    context = make_tissue_context(study, folder / "work")
    run_stage("harmonize", context)
    return context, run_stage("features", context)


@pytest.fixture
def table(done):
    return read_tsv(done[0].study.output_dir / "group_features.tsv")


def test_every_scan_has_a_row_in_both_arms_and_the_columns_are_described(done, table):
    context, result = done
    assert list(table.columns[:6]) == [
        *("filename", "participant_id", "session_id", "site", "arm", "fit")
    ]
    assert list(table.columns[6:]) == [*feature_names(), *parcel_features(None)]
    assert len(REGIONS) == 13
    assert list(table["arm"]) == ["raw", "harmonized"] * 6
    assert table["filename"].iloc[0] == "sub-A0/ses-A/anat/sub-A0_ses-A_desc-preproc_T1w.nii.gz"
    described = json.loads((context.study.output_dir / "group_features.json").read_text())
    assert list(described) == list(table.columns)
    assert described["gm_volume_ml"]["VoxelSize"] == 6.0
    assert described["arm"]["Effort"] == "full"
    assert result.failures == ()
    assert "participant level's" in result.notes[0]


def test_every_row_has_its_density_on_the_template_and_is_measured_again_without(done):
    context, _ = done
    folder = context.work_dir / "features"
    assert sorted(path.stem for path in folder.glob("*.npy")) == sorted(
        path.stem for path in folder.glob("*.json")
    )
    grey = load_template(4.0).gm[density_mask()]
    known = {path: read_density(path) for path in folder.glob("*.npy")}
    for density in known.values():
        inside = np.isfinite(density)
        assert inside.mean() > 0.95
        assert np.corrcoef(density[inside], grey[inside])[0, 1] > 0.6
    path = folder / "sub-A0_ses-A_raw.npy"
    path.unlink()
    result = run_stage("features", context)
    assert any("unchanged, so reused: 11 of 12" in note for note in result.notes)
    np.testing.assert_array_equal(read_density(path), known[path])
    content = path.read_bytes()
    path.write_bytes(b"no array")
    with pytest.raises(ScanError, match="run the stage features again"):
        read_density(path)
    path.write_bytes(content)


def test_nobody_is_harmonized_by_a_model_that_has_seen_the_person(done, table):
    folder = harmonizer_folder(done[0].study.output_dir, "identity", "A")
    rows = table[table["arm"] == "harmonized"]
    assert set(rows["fit"]) == {*HALVES, "delivered"}
    assert set(rows.loc[rows["fit"] == "delivered", "participant_id"]) == {"sub-T0"}
    seen = {fit: set(read_tsv(folder / fit / "training.tsv")["participant_id"]) for fit in HALVES}
    for _, row in rows[rows["fit"] != "delivered"].iterrows():
        assert row["participant_id"] not in seen[row["fit"]]
    assert table.loc[table["arm"] == "raw", "fit"].isna().all()


def test_the_raw_arm_is_what_the_maps_hold(table):
    raw = table[table["arm"] == "raw"].iloc[0]
    found = found_tissue()
    for name in ("csf", "gm", "wm"):
        assert float(raw[f"{name}_volume_ml"]) == pytest.approx(found.volumes_ml[name], abs=0.01)
    total = sum(found.volumes_ml.values())
    assert float(raw["intracranial_volume_ml"]) == pytest.approx(total, abs=0.02)


def test_regions_sum_to_all_grey_matter_and_both_sides_are_alike(table):
    numbers = table[REGIONS].astype(float)
    whole = table["gm_volume_ml"].astype(float)
    assert numbers.sum(axis=1).to_numpy() == pytest.approx(whole.to_numpy(), abs=0.01)
    left, right = (numbers[f"gm_{side}_frontal_lobe_volume_ml"] for side in ("left", "right"))
    assert (left / right).between(0.85, 1.18).all()
    cerebellum = numbers["gm_left_cerebellum_volume_ml"] + numbers["gm_right_cerebellum_volume_ml"]
    assert (cerebellum / whole).between(0.05, 0.2).all()


def test_harmonized_volumes_are_near_the_phantoms(table):
    """Identity changes the gain alone; the maps of the raw arm are of the noise-free phantom."""
    found = found_tissue()
    rows = table[table["arm"] == "harmonized"]
    for name, tolerance in (("csf", 0.06), ("gm", 0.02), ("wm", 0.02)):
        values = rows[f"{name}_volume_ml"].astype(float).to_numpy()
        assert values == pytest.approx(found.volumes_ml[name], rel=tolerance)


def test_identity_gives_the_volumes_of_the_raw_image(done):
    """The same image but for a factor of 2.5: what is left is rounding."""
    context, _ = done
    study = context.study
    scan = study.scan("sub-B0_ses-B")
    raw = replace(plan_raw(context, scan), maps=None)
    harmonized = plan_harmonized(context, scan, load_models(context))
    first, second = measure(raw), measure(harmonized)
    assert harmonized.fit in ("half-1", "half-2")
    for name in feature_names():
        assert second.values[name] == pytest.approx(first.values[name], rel=2e-3, abs=0.05)
    assert first.doubt == ""


def test_a_second_run_measures_nothing_and_writes_the_same_bytes(done):
    context, result = done
    before = {path: path.read_bytes() for path in result.files}
    rows = sorted((context.work_dir / "features").glob("*.json"))
    times = [path.stat().st_mtime_ns for path in rows]
    again = run_stage("features", replace(context, run_id="second"))
    assert {path: path.read_bytes() for path in again.files} == before
    assert [path.stat().st_mtime_ns for path in rows] == times
    assert len(rows) == 12
    assert "unchanged, so reused: 12 of 12 measurements" in again.notes


def test_only_a_scan_whose_input_changed_is_measured_again(done, tmp_path):
    context, _ = done
    work = tmp_path / "work"
    work.mkdir()
    kept = plan_raw(context, context.study.scan("sub-A0_ses-A"))
    other = replace(context, work_dir=work)
    (work / "features").mkdir()
    for path in (context.work_dir / "features").iterdir():
        (work / "features" / path.name).write_bytes(path.read_bytes())
    changed = work / "features" / kept.row_file.name
    content = json.loads(changed.read_text())
    changed.write_text(json.dumps({**content, "fingerprint": "of another image"}))
    result = run_stage("features", other)
    assert "unchanged, so reused: 11 of 12 measurements" in result.notes
    assert changed.read_text() == kept.row_file.read_text()


def test_the_option_features_reads_an_arm_of_the_table(done):
    output_dir = done[0].study.output_dir
    path = output_dir / "group_features.tsv"
    settings = make_feature_settings(
        path, arms={"harmonized": str(path)}, site={"min_per_site": 2}, feature_columns=("gm_*",)
    )
    (source,) = feature_sources(settings)
    study = load_feature_study(source, output_dir=output_dir, settings=settings)
    assert list(study.features.columns) == ["gm_volume_ml", *REGIONS]
    assert study.travelling == {"sub-T0"}
    assert study.trained_sites == ("A", "B")
    assert len(study.rows) == 6


def test_without_maps_the_raw_image_is_segmented_and_that_is_said(done, tmp_path):
    context, _ = done
    study = write_tissue_study(tmp_path / "out", tissue=False)
    job = plan_raw(make_tissue_context(study, tmp_path / "work"), study.scan("sub-A0_ses-A"))
    assert job.maps is None
    assert job.image == study.scan("sub-A0_ses-A").t1w
    with_maps = plan_raw(context, context.study.scan("sub-A0_ses-A"))
    assert with_maps.maps is not None
    assert job.fingerprint != with_maps.fingerprint


def test_quick_draws_a_few_scans_of_each_site_and_says_so(done, monkeypatch):
    monkeypatch.setattr("bids_harmonize.stages.tissue.plan.QUICK_PER_SITE", 1)
    monkeypatch.setattr("bids_harmonize.stages.tissue.plan.QUICK_TRAVELLING", 1)
    context, _ = done
    quick = make_tissue_context(context.study, context.work_dir, effort="quick")
    choice = choose_scans(quick)
    single = [scan.site for scan in choice.scans if scan.participant_id != "sub-T0"]
    assert sorted(single) == ["A", "B"]
    assert sum(scan.participant_id == "sub-T0" for scan in choice.scans) == 2
    assert "of each trained site 1 scans" in choice.sample
    assert "4 of 6 scans" in choice.sample
    assert [scan.stem for scan in choose_scans(quick).scans] == [s.stem for s in choice.scans]


def test_a_joint_model_serves_the_sites_that_were_too_small_to_train_on(done):
    """Site B is left out: a pairwise model has no image of its scans, a joint one has."""
    context, _ = done
    study = replace(
        context.study,
        trained_sites=("A",),
        left_out={"B": "too few"},
        eligible=frozenset({"sub-A0", "sub-A1"}),
        travelling=frozenset(),
    )
    found = {}
    for sources in ("pairwise", "joint"):
        asked = make_tissue_context(study, context.work_dir, sources=sources)
        found[sources] = {scan.stem for scan in choose_scans(asked).scans}
    assert found["joint"] - found["pairwise"] == {
        "sub-B0_ses-B", "sub-B1_ses-B", "sub-T0_ses-B",
    }  # fmt: skip
    scan = study.scan("sub-B0_ses-B")
    job = plan_harmonized(replace(context, study=study), scan, load_models(context))
    assert job.fit == "delivered"
    assert job.image == scan_output(study.output_dir, scan, "harmonized", reference="A")


def test_harmonize_must_have_run(tmp_path):
    study = write_tissue_study(tmp_path / "out", tissue=False)
    with pytest.raises(MissingInputError, match="run the stage harmonize with"):
        run_stage("features", make_tissue_context(study, tmp_path / "work"))


def test_half_models_must_be_there(done, tmp_path):
    context, _ = done
    folder = harmonizer_folder(context.study.output_dir, "identity", "A")
    model = folder / "half-2" / "model.json"
    kept = model.read_bytes()
    model.unlink()
    try:
        with pytest.raises(MissingInputError, match="--stages harmonize features first"):
            run_stage("features", context)
    finally:
        model.write_bytes(kept)
    assert load_harmonizer(folder / "half-2").name == "identity"


def test_halves_with_too_few_people_give_no_harmonized_row_and_that_is_said(done, monkeypatch):
    context, _ = done
    monkeypatch.setattr("bids_harmonize.stages.harmonization.halves.LEAST_PER_HALF", 5)
    path = context.study.output_dir / "group_features.tsv"
    before = [path.read_bytes(), path.with_suffix(".json").read_bytes()]
    result = run_stage("features", context)
    table = read_tsv(path)
    said = json.loads(path.with_suffix(".json").read_text())["arm"]["NotHarmonized"]
    path.write_bytes(before[0])
    path.with_suffix(".json").write_bytes(before[1])
    rows = table[table["arm"] == "harmonized"]
    assert set(rows["participant_id"]) == {"sub-T0"}
    assert (table["arm"] == "raw").sum() == 6
    assert "site A has 1 participants in a half, 5 are needed" in said
    assert any(said in warning and "4 scans" in warning for warning in result.warnings)


def test_doubtful_scans_are_left_out_of_both_arms_and_named(done, tmp_path):
    context, _ = done
    output_dir = context.study.output_dir
    path = output_dir / "group_features.tsv"
    before = [path.read_bytes(), path.with_suffix(".json").read_bytes()]
    scans = tuple(
        replace(scan, usable=scan.stem != "sub-T0_ses-B") for scan in context.study.scans
    )
    row_file = context.work_dir / "features" / "sub-T0_ses-A_harmonized.json"
    kept = row_file.read_text()
    row_file.write_text(json.dumps({**json.loads(kept), "doubt": "grey over white matter 3.00"}))
    result = run_stage("features", replace(context, study=replace(context.study, scans=scans)))
    table = read_tsv(path)
    left_out = json.loads(path.with_suffix(".json").read_text())["filename"]["LeftOut"]
    row_file.write_text(kept)
    path.write_bytes(before[0])
    path.with_suffix(".json").write_bytes(before[1])
    assert "sub-T0" not in set(table["participant_id"])
    assert left_out == {
        "sub-T0_ses-B": "head or brain mask doubtful",
        "sub-T0_ses-A": "tissue doubtful in the harmonized arm: grey over white matter 3.00",
    }
    assert sum("left out of both arms" in warning for warning in result.warnings) == 2


def test_a_scan_that_cannot_be_measured_fails_alone_and_leaves_a_crash_file(done):
    context, _ = done
    output_dir = context.study.output_dir
    path = output_dir / "group_features.tsv"
    before = [path.read_bytes(), path.with_suffix(".json").read_bytes()]
    image = scan_output(output_dir, "sub-T0_ses-B", "harmonized", reference="A")
    away = image.with_name("away")
    image.rename(away)
    transform = scan_output(output_dir, "sub-B1_ses-B", "xfm_preproc_to_template")
    bytes_of = transform.read_bytes()
    transform.write_bytes(b"no transform")
    try:
        result = run_stage("features", context)
    finally:
        away.rename(image)
        transform.write_bytes(bytes_of)
    table = read_tsv(path)
    path.write_bytes(before[0])
    path.with_suffix(".json").write_bytes(before[1])
    assert len(table) == 8
    assert not table["filename"].str.contains("sub-B1_ses-B|sub-T0_ses-B").any()
    assert sorted(failure.split(":")[0] for failure in result.failures) == [
        "sub-B1_ses-B", "sub-T0_ses-B",
    ]  # fmt: skip
    assert any("run the stage harmonize again" in failure for failure in result.failures)
    crashes = sorted(output_dir.glob("sub-*/log/first/features-crash-*.txt"))
    assert [crash.name for crash in crashes] == [
        "features-crash-sub-B1_ses-B.txt", "features-crash-sub-T0_ses-B.txt",
    ]  # fmt: skip
    run_stage("features", context)
    assert not list(output_dir.glob("sub-*/log/*/features-crash-*.txt"))


def test_a_study_of_doubtful_scans_has_nothing_to_measure(done):
    context, _ = done
    scans = tuple(replace(scan, usable=False) for scan in context.study.scans)
    lost = replace(context, study=replace(context.study, scans=scans))
    with pytest.raises(UnusableDataError, match="no scan is left to measure: sub-A0_ses-A: head"):
        run_stage("features", lost)
