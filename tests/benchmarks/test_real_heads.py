"""The benchmark of real heads, on made-up ones: its scanners, its study, its pictures."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.rawimages import RawImage
from bids_harmonize.bids.study import Study, load_study
from bids_harmonize.config import make_settings
from bids_harmonize.preprocessing.steps import Conformed
from bids_harmonize.stages.evaluation.pairs import plan_pairs
from bids_harmonize.stages.evaluation.travelling import Method
from tests.benchmarks.aligned_scores import misplacements_mm, score_unmoved
from tests.benchmarks.before_after import draw_columns
from tests.benchmarks.bench_real_heads import main
from tests.benchmarks.known_derivative import KnownScan, write_known_derivative
from tests.benchmarks.real_study import (
    RealDesign,
    deal_people,
    usable_heads,
    write_real_derivative,
    write_real_study,
)
from tests.benchmarks.simulated_scanners import (
    CONDITIONS,
    Session,
    coil_field,
    draw_session,
    scan_again,
    tone_curve,
)

SHAPE, VOXEL_MM = (32, 40, 32), 6.0
DESIGN = RealDesign(n_per_site=2, n_travelling=1, seed=3)
PEOPLE = [f"sub-p{number}" for number in range(6)]
DOUBTFUL = "sub-p5"


def _ball(radius: float) -> np.ndarray:
    squares = sum(
        (axis - (n - 1) / 2) ** 2 for axis, n in zip(np.indices(SHAPE), SHAPE, strict=True)
    )
    return squares <= radius**2


HEAD, BRAIN = _ball(13.0), _ball(9.0)


def _head(number: int) -> np.ndarray:
    """A dark ball with a bright, grained one in it, rescaled units."""
    grain = np.random.default_rng(number).uniform(0.5, 1.0, SHAPE)
    return np.where(BRAIN, grain, np.where(HEAD, 0.3, 0)).astype(np.float32)


@pytest.fixture(scope="module")
def heads_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The derivative of six people; the masks of the last one are in doubt."""
    folder = tmp_path_factory.mktemp("heads")
    bids_dir, affine = folder / "bids", np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = -90.0
    write_json(
        bids_dir / "dataset_description.json",
        {"Name": "Balls", "BIDSVersion": "1.10.0", "DatasetType": "raw"},
    )
    rows = ["participant_id\tsite\tage\tsex"]
    for number, person in enumerate(PEOPLE):
        path = bids_dir / person / "anat" / f"{person}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        write_image(path, 200 * _head(number), affine)
        rows.append(f"{person}\tOne\t{20 + number}\tF")
    (bids_dir / "participants.tsv").write_text("\n".join(rows) + "\n")

    def know(scan: Scan, raw: RawImage) -> KnownScan:
        to_template = np.diag([1.25, 1.25, 1.25, 1.0])
        conformed = Conformed(raw.volume, HEAD, raw.affine, HEAD)
        return KnownScan(conformed, BRAIN, to_template, scan.participant_id == DOUBTFUL)

    write_known_derivative(bids_dir, folder / "out", know, resolution_mm=VOXEL_MM, source="balls")
    return folder / "out"


@pytest.fixture(scope="module")
def derivative(heads_dir: Path) -> Path:
    """Of two people at each site and one at both."""
    bids_dir, output_dir = heads_dir.with_name("study"), heads_dir.with_name("study-out")
    assert write_real_study(heads_dir, bids_dir, DESIGN) == 8
    assert write_real_derivative(heads_dir, bids_dir, output_dir) == 8
    return output_dir


@pytest.fixture
def study(derivative: Path) -> Study:
    settings = {"site": {"min_per_site": 2, "reference_site": "SiteB"}}
    return load_study(derivative, settings=make_settings(settings, source="test"))


def test_the_tone_curve_keeps_the_order_and_both_ends() -> None:
    values = np.linspace(0, 2, 201, dtype=np.float32)
    for scanner in (*CONDITIONS["full"], *CONDITIONS["tone"]):
        toned = tone_curve(values, scanner.tone_power)
        assert (np.diff(toned) > 0).all()
        assert toned[[0, 100]] == pytest.approx([0, 1], abs=1e-6)
    assert tone_curve(np.float32([0.25]), 0.5) == pytest.approx([0.5])
    dark, bright = (
        tone_curve(np.float32([0.5]), s.tone_power)[0] for s in CONDITIONS["tone"][::-1]
    )
    assert bright - dark > 0.1


def test_the_coil_loses_the_stated_signal_at_a_tenth_of_a_metre() -> None:
    field = coil_field((41, 5, 5), 5.0, strength=0.3, centre_mm=(-100.0, 0.0, 0.0))
    assert field[0, 2, 2] == pytest.approx(1.0)
    assert field[20, 2, 2] == pytest.approx(np.exp(-0.3))
    assert field[40, 2, 2] == pytest.approx(np.exp(-1.2))


def test_in_condition_tone_the_sites_differ_by_the_tone_curve_alone() -> None:
    one, other = CONDITIONS["tone"]
    assert replace(one, tone_power=other.tone_power) == other
    assert one.coil_strength == one.psf_mm == 0


def test_two_runs_differ_by_jitter_and_noise_only() -> None:
    head, scanner = _head(0), CONDITIONS["full"][1]
    first, second = (draw_session(np.random.default_rng(seed)) for seed in (1, 2))
    scans = [
        scan_again(head, HEAD, scanner, session, voxel_size_mm=VOXEL_MM)
        for session in (first, first, second, replace(second, noise_seed=first.noise_seed))
    ]
    assert np.array_equal(scans[0], scans[1])
    assert 5 < np.abs(scans[2] - scans[0])[BRAIN].mean() < 300  # of 1100
    without = [
        scan_again(head, HEAD, replace(scanner, noise=0), session, voxel_size_mm=VOXEL_MM)
        for session in (first, replace(first, noise_seed=second.noise_seed))
    ]
    assert np.array_equal(*without)
    noise = (scans[2] - scans[3])[BRAIN] / (scanner.scale * second.gain)
    assert noise.std() == pytest.approx(2**0.5 * scanner.noise, rel=0.05)
    assert abs(noise.mean()) < 0.001
    for scan in scans:
        assert (scan[~HEAD] == 0).all()
        assert (scan[BRAIN] > 0).all()


def test_every_jitter_of_a_session_shows() -> None:
    scanner = replace(CONDITIONS["full"][0], noise=0)
    usual = Session(1.0, (0.0, 0.0, 0.0), 1.0, 0)

    def scan(**jitter: object) -> np.ndarray:
        session = replace(usual, **jitter)
        return scan_again(_head(0), HEAD, scanner, session, voxel_size_mm=VOXEL_MM)

    change = {
        name: np.log(scan(**{name: value})[BRAIN] / scan()[BRAIN])
        for name, value in (
            ("gain", 1.1),
            ("tone_factor", 1.1),
            ("coil_shift_mm", (10.0, 0.0, 0.0)),
        )
    }
    assert change["gain"] == pytest.approx(np.log(1.1), abs=1e-4)
    darker = 0.1 * scanner.tone_power * np.log(_head(0)[BRAIN])
    assert change["tone_factor"] == pytest.approx(darker, abs=1e-4)
    right_mm = ((np.indices(SHAPE)[0] - 15.5) * VOXEL_MM - scanner.coil_centre_mm[0])[BRAIN]
    shifted = scanner.coil_strength * (right_mm**2 - (right_mm - 10) ** 2) / 100**2
    assert change["coil_shift_mm"] == pytest.approx(shifted, abs=1e-4)


def test_the_blurred_scanner_is_less_sharp() -> None:
    session = draw_session(np.random.default_rng(0))
    spread = [
        scan_again(_head(0), HEAD, scanner, session, voxel_size_mm=3.0)[_ball(7.0)]
        for scanner in CONDITIONS["full"]
    ]
    sharp, blurred = (values.std() / values.mean() for values in spread)
    assert blurred < 0.6 * sharp


def test_people_are_dealt_by_the_seed() -> None:
    dealt = deal_people(PEOPLE, DESIGN)
    assert sorted(map(str, dealt.values())) == ["None", "SiteA", "SiteA", "SiteB", "SiteB"]
    assert deal_people(PEOPLE[::-1], DESIGN) == dealt
    assert any(deal_people(PEOPLE, replace(DESIGN, seed=seed)) != dealt for seed in range(3))
    with pytest.raises(ValueError, match="found 4 people with usable masks; expected 5"):
        deal_people(PEOPLE[:4], DESIGN)


def test_the_group_level_sees_who_travels(study: Study) -> None:
    dealt = deal_people(PEOPLE[:5], DESIGN)
    (traveller,) = study.travelling
    assert dealt[traveller] is None
    assert study.site_of_participant() == {name: site for name, site in dealt.items() if site}
    assert DOUBTFUL not in {scan.participant_id for scan in study.scans}
    assert study.participants.loc[traveller, "age"] == 20 + PEOPLE.index(traveller)
    pairs = [(p.kind, p.rescan, p.moving.stem, p.fixed.stem) for p in plan_pairs(study)]
    stems = {
        (site, run): f"{traveller}_ses-Site{site}_run-{run}" for site in "AB" for run in (1, 2)
    }
    assert pairs == [
        ("direct", False, stems["A", 1], stems["B", 1]),
        ("direct", True, stems["B", 2], stems["B", 1]),
        ("reverse", False, stems["B", 1], stems["A", 1]),
        ("reverse", True, stems["A", 2], stems["A", 1]),
    ]


def test_masks_grid_and_place_are_those_of_the_real_scan(
    heads_dir: Path, derivative: Path
) -> None:
    scans = sorted(derivative.glob("sub-*/**/*_desc-preproc_T1w.nii.gz"))
    stems = {path.name.removesuffix("_desc-preproc_T1w.nii.gz"): path for path in scans}
    assert len(stems) == 8
    heads = usable_heads(heads_dir)
    for stem, path in stems.items():
        own = heads[stem.split("_")[0]]
        volume, affine = read_image(path)
        assert np.array_equal(affine, read_image(scan_output(heads_dir, own, "preproc"))[1])
        assert (volume[~HEAD] == 0).all()
        for name, mask in (("head_mask", HEAD), ("brain_mask", BRAIN)):
            assert np.array_equal(read_mask(scan_output(derivative, stem, name))[0], mask)
        transforms = [
            scan_output(folder, name, "xfm_preproc_to_template").read_bytes()
            for folder, name in ((heads_dir, own), (derivative, stem))
        ]
        assert transforms[0] == transforms[1]


def test_equal_seeds_make_equal_scans(heads_dir: Path, tmp_path: Path) -> None:
    contents = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        write_real_study(heads_dir, tmp_path / name, replace(DESIGN, seed=seed))
        found = sorted((tmp_path / name).glob("sub-*/**/*.nii.gz"))
        contents.append({path.name: path.read_bytes() for path in found})
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_unmoved_scores_lie_between_the_untouched_scan_and_the_second_one(study: Study) -> None:
    partners = {scan.site: scan for scan in study.scans if scan.stem.endswith("run-1")}
    methods = [
        Method("identity", lambda images, _: images.volume),
        Method("affine", lambda images, _: 3 * images.volume + 7),
        Method("perfect", lambda _, to_site: read_image(partners[to_site].t1w)[0]),
    ]
    table = score_unmoved(study, methods, seed=5)
    assert set(table["kind"]) == {"direct", "reverse"}
    ssim = table[table["metric"] == "ssim"].set_index(["kind", "mask", "method"])["mean"]
    gaps = table[table["metric"] == "ssim"].set_index(["kind", "mask", "method"])["gap_closed"]
    for key in ((kind, mask) for kind in ("direct", "reverse") for mask in ("brain", "head")):
        assert ssim[(*key, "affine")] == pytest.approx(ssim[(*key, "identity")], abs=1e-4)
        assert ssim[(*key, "perfect")] == pytest.approx(1, abs=1e-6)
        assert ssim[(*key, "identity")] < ssim[(*key, "ceiling")] < 1
        assert (gaps[(*key, "identity")], gaps[(*key, "ceiling")]) == (0, 1)
        assert gaps[(*key, "perfect")] > 1


def test_a_misplaced_registration_is_measured(study: Study) -> None:
    folder = study.output_dir / ".work" / "evaluate" / "registrations"
    folder.mkdir(parents=True)
    (person,) = study.travelling
    moved = np.eye(4)
    moved[:3, 3] = 3.0, 0.0, 4.0
    for name, matrix in (("SiteA_run-1", moved), ("SiteB_run-2", np.eye(4))):
        path = folder / f"{person}_ses-{name}_to_{person}_ses-SiteB_run-1.json"
        write_json(path, {"fixed_to_moving_mm": matrix.tolist()})
    found = misplacements_mm(study)
    assert found["across"].tolist() == [True, False]
    assert found["rms_mm"].tolist() == pytest.approx([5.0, 0.0], abs=1e-6)


def test_pictures_share_one_grey_scale() -> None:
    columns = {
        "half": np.full(SHAPE, 0.6),
        "white": np.full(SHAPE, 1.2),
        "beyond": np.full(SHAPE, 5),
    }
    content = draw_columns(columns, title="title", head=HEAD)
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    row = pixels[pixels.shape[0] // 4]
    n = row.size
    greys = [int(np.median(row[int(n * at) - 5 : int(n * at) + 5])) for at in (0.15, 0.45, 0.75)]
    assert greys[0] == pytest.approx(128, abs=3)
    assert greys[1:] == [255, 255]


def test_without_real_images_the_reason_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--folder", str(tmp_path / "new"), "--data", str(tmp_path)])
    assert capsys.readouterr().out.startswith("skipped: real images are not here: ")
    assert not (tmp_path / "new").exists()
