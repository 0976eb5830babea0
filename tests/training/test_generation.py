"""Application of a generator: one order of sums, however many threads the run has."""

import numpy as np
import torch

from bids_harmonize.networks.generators import GeneratorPlan, make_generator
from bids_harmonize.training.generation import generate

SHAPE = (48, 56, 48)


def bits_with(n_threads, generator, volume, head):
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        made = generate(generator, volume, head_mask=head, voxel_size_mm=4.0)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    return made.tobytes()


def test_the_number_of_threads_changes_no_bit():
    torch.manual_seed(0)
    plan = GeneratorPlan(voxel_size_mm=4.0, sharpened_mm=4.0, width=8, n_blocks=2)
    generator = make_generator("bilateral", plan)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    head = np.ones(SHAPE, np.bool_)
    volume = np.random.default_rng(0).uniform(0.1, 1.2, SHAPE).astype(np.float32)
    first = bits_with(1, generator, volume, head)
    assert all(bits_with(n, generator, volume, head) == first for n in (2, 3, 4))
