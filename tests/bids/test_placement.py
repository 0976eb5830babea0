"""Which of the places that a header states is taken, and what is said about it."""

from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_harmonize.bids.nifti import NiftiFile, open_nifti
from bids_harmonize.bids.placement import place_image
from bids_harmonize.errors import ScanError
from tests.bids.nifti_files import SIZE_MM, affine_of, head_like, make_header, write_nifti


def turned(degrees: float, *, size_mm: float = SIZE_MM) -> np.ndarray:
    affine = affine_of(size_mm)
    angle = np.deg2rad(degrees)
    affine[:3, :3] = nb.eulerangles.euler2mat(0, 0, angle) @ affine[:3, :3]
    return affine


def sheared(share: float) -> np.ndarray:
    affine = affine_of()
    affine[0, 1] = share * SIZE_MM
    return affine


def place(folder, **fields):
    return place_image(open_nifti(write_nifti(folder / "a.nii", head_like(), **fields)))


def place_in_memory(**fields):
    header = make_header(head_like(), **fields)
    return place_image(NiftiFile(Path("a.nii"), header, compressed=False))


def refusal(folder, **fields):
    with pytest.raises(ScanError) as raised:
        place(folder, **fields)
    message = str(raised.value)
    assert message.startswith(f"{folder / 'a.nii'}: the header lies: ")
    assert message.endswith("; convert the image again")
    return message


def test_either_alone_is_taken_without_a_word(tmp_path):
    for name in ("sform", "qform"):
        found = place(tmp_path, **{name: turned(15)})
        assert (found.source, found.flags) == (name, ())
        np.testing.assert_allclose(found.affine, turned(15), atol=1e-5)


def test_both_alike_need_no_word(tmp_path):
    found = place(tmp_path, sform=turned(15), qform=turned(15))
    assert (found.source, found.flags) == ("sform", ())


def test_the_sform_wins_and_the_distance_is_told(tmp_path):
    moved = affine_of()
    moved[1, 3] += 12.5
    found = place(tmp_path, sform=moved, qform=affine_of())
    np.testing.assert_allclose(found.affine, moved)
    assert found.flags == ("sform and qform disagree by up to 12.5 mm; the sform was taken",)


def test_less_than_half_a_millimetre_is_rounding(tmp_path):
    for shift, n_flags in ((0.49, 0), (0.51, 1)):
        moved = affine_of()
        moved[1, 3] += shift
        assert len(place(tmp_path, sform=moved, qform=affine_of()).flags) == n_flags


def test_a_disagreement_over_left_and_right_is_called_one(tmp_path):
    mirrored = affine_of(flips=(-1, 1, 1))
    found = place(tmp_path, sform=affine_of(), qform=mirrored)
    assert found.affine[0, 0] == SIZE_MM
    (told,) = found.flags
    assert "(RAS and LAS); one of them mirrors the head; the sform was taken" in told


def test_the_winner_is_that_of_nibabel_where_both_are_sound(tmp_path):
    for fields in ({"sform_code": 0}, {"qform_code": 0}, {"sform_code": 4}, {}):
        found = place(tmp_path, sform=turned(10), qform=turned(-5), **fields)
        wanted = nb.load(tmp_path / "a.nii").affine
        np.testing.assert_allclose(found.affine, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (np.zeros((4, 4)), "voxel size 0 x 0 x 0 mm, expected between 0.1 and 20 mm"),
        (np.full((4, 4), np.nan), "the affine holds values that are not finite"),
        (sheared(0.1), "two axes of the affine meet at 84.3 degrees, expected 90"),
        (sheared(-1e6), "voxel size 5 x 5e+06 x 5 mm, expected between"),
    ],
)
def test_an_sform_that_no_scanner_wrote_gives_way_to_the_qform(tmp_path, broken, told):
    rows = {f"srow_{axis}": broken[row] for row, axis in enumerate("xyz")}
    found = place(tmp_path, sform=affine_of(), qform=turned(20), **rows)
    assert found.source == "qform"
    np.testing.assert_allclose(found.affine, turned(20), atol=1e-5)
    (flag,) = found.flags
    assert flag.startswith(f"the sform cannot be used ({told}")
    assert flag.endswith("; the qform was taken")
    assert told in refusal(tmp_path, sform=affine_of(), **rows)


def test_parallel_axes_are_a_lie(tmp_path):
    flat = affine_of()
    flat[:3, 1] = flat[:3, 0]
    assert "two axes of the affine are parallel" in refusal(tmp_path, sform=flat)


def test_half_a_degree_of_shear_is_rounding_and_kept(tmp_path):
    found = place(tmp_path, sform=sheared(0.008))
    np.testing.assert_allclose(found.affine, sheared(0.008), atol=1e-5)
    assert found.flags == ()


def test_an_sform_of_another_voxel_size_than_pixdim_is_a_lie_even_beside_a_qform(tmp_path):
    told = refusal(tmp_path, sform=affine_of(4.0), qform=affine_of(5.0))
    assert "voxel size 5 x 5 x 5 mm in pixdim, 4 x 4 x 4 mm in the affine" in told


def test_without_either_left_and_right_are_a_guess(tmp_path):
    found = place(tmp_path, sform_code=0, qform_code=0)
    assert found.source == "none"
    assert found.flags == ("the header states no orientation; left and right are a guess",)
    np.testing.assert_allclose(found.affine, nb.load(tmp_path / "a.nii").affine)


def test_a_quaternion_that_rounding_made_too_long_is_taken(tmp_path):
    half = np.diag([-SIZE_MM, SIZE_MM, -SIZE_MM, 1.0])
    found = place(tmp_path, qform=half, quatern_c=1.0 + 1e-6)
    np.testing.assert_allclose(found.affine[:3, :3], half[:3, :3], atol=1e-4)
    assert "not finite" in refusal(tmp_path, qform=half, quatern_c=1.1)


@pytest.mark.parametrize(
    ("code", "factor", "name"), [(1, 1000, "metres"), (3, 1e-3, "micrometres")]
)
def test_units_of_the_header_are_turned_into_mm(tmp_path, code, factor, name):
    small = turned(10, size_mm=SIZE_MM)
    small[:3] /= factor
    for kind in ("sform", "qform"):
        found = place(tmp_path, **{kind: small}, xyzt_units=code)
        np.testing.assert_allclose(found.affine, turned(10), atol=1e-4)
        assert found.flags == (f"the header is in {name}; converted to mm",)


@pytest.mark.parametrize(("code", "name"), [(1, "metres"), (3, "micrometres")])
def test_units_that_cannot_be_are_taken_for_mm(tmp_path, code, name):
    found = place(tmp_path, xyzt_units=code)
    np.testing.assert_allclose(found.affine, affine_of())
    assert found.flags == (
        f"the header claims {name} but its voxel sizes fit mm only; taken as mm",
    )


def test_metres_that_are_not_said_so_are_asked_about(tmp_path):
    told = refusal(tmp_path, sform=np.diag([0.005, 0.005, 0.005, 1]), xyzt_units=0)
    assert "voxel size 0.005 x 0.005 x 0.005 mm, expected between 0.1 and 20 mm" in told
    assert "is it in metres and not said so" in told


@settings(max_examples=60, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    sizes=st.tuples(*[st.floats(0.7, 3.0)] * 3),
    offset=st.tuples(*[st.floats(-200, 200)] * 3),
)
def test_sform_and_qform_of_any_turn_flip_and_size_give_one_place(angles, flips, sizes, offset):
    affine = np.eye(4)
    affine[:3, :3] = nb.eulerangles.euler2mat(*angles) * (np.array(flips) * sizes)
    affine[:3, 3] = offset
    for kind in ("sform", "qform"):
        found = place_in_memory(**{kind: affine})
        corner = np.array([19, 21, 23, 1])
        # half turns lose digits: the quaternion is stored as float32 and without its first part
        within_mm = 1e-4 if kind == "sform" else 0.05
        np.testing.assert_allclose(found.affine @ corner, affine @ corner, atol=within_mm)
        assert found.source == kind
