import numpy as np

from bids_harmonize.phantom.seeds import named_generator, spread_number


def test_names_and_seed_fix_the_numbers() -> None:
    first = named_generator(3, "person", "A001").random(4)
    assert np.array_equal(first, named_generator(3, "person", "A001").random(4))
    assert not np.array_equal(first, named_generator(3, "person", "A002").random(4))
    assert not np.array_equal(first, named_generator(4, "person", "A001").random(4))


def test_the_first_numbers_of_a_spread_sequence_lie_apart() -> None:
    for seed in range(20):
        values = np.array([spread_number(seed, index, "coil") for index in range(5)])
        assert values.min() >= 0
        assert values.max() < 1
        gaps = np.abs(values[:, None] - values[None])[~np.eye(5, dtype=bool)]
        assert np.minimum(gaps, 1 - gaps).min() > 0.14
