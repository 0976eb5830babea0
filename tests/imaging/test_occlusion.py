import numpy as np
import pytest

from bids_harmonize.imaging.occlusion import draw_block, hide_block, keep_block, occlusion_blocks


def test_hidden_and_kept_parts_make_up_the_volume(rng):
    volume = rng.normal(size=(2, 12, 10, 8)).astype(np.float32)
    block = draw_block(rng, (12, 10, 8))
    np.testing.assert_array_equal(hide_block(volume, block) + keep_block(volume, block), volume)
    assert not hide_block(volume, block)[:, *block].any()


def test_blocks_keep_to_the_asked_length_and_to_the_volume(rng):
    shape = (40, 48, 40)
    lengths = []
    for _ in range(500):
        for piece, n in zip(draw_block(rng, shape), shape, strict=True):
            assert 0 <= piece.start < piece.stop <= n
            lengths.append((piece.stop - piece.start) / n)
    assert 0.24 <= min(lengths) < 0.27
    assert 0.73 < max(lengths) <= 0.76


def test_sliding_blocks_cover_every_voxel():
    shape = (13, 9, 5)
    seen = np.zeros(shape, int)
    for block in occlusion_blocks(shape, block_voxels=6, stride_voxels=4):
        seen[block] += 1
    assert seen.min() >= 1
    assert seen[0, 0, 0] == 1


def test_a_stride_that_leaves_gaps_is_refused():
    with pytest.raises(ValueError, match="stride_voxels=5"):
        list(occlusion_blocks((8, 8, 8), block_voxels=4, stride_voxels=5))
