"""Device, precision and seeds."""

import numpy as np
import pytest
import torch

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import UsageError
from bids_harmonize.training.runtime import (
    classifier_runtime,
    make_runtime,
    seeded_generator,
    seeded_torch,
    torch_generator,
)


def test_auto_precision_on_the_cpu_is_32_bit():
    runtime = make_runtime(ResourceSettings(device="cpu"))
    assert (runtime.device.type, runtime.precision) == ("cpu", "32-true")
    assert torch.are_deterministic_algorithms_enabled()


def test_the_classifier_keeps_the_precision_on_the_cpu_and_where_it_was_wished():
    left = make_runtime(ResourceSettings(device="cpu"))
    assert left.is_automatic
    assert classifier_runtime(left) is left
    wished = make_runtime(ResourceSettings(device="cpu", precision="bf16-mixed"))
    assert not wished.is_automatic
    assert classifier_runtime(wished).precision == "bf16-mixed"


def test_an_allocation_of_several_tasks_is_not_taken_for_several_devices(monkeypatch, recwarn):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "x"}.items():
        monkeypatch.setenv(name, value)
    runtime = make_runtime(ResourceSettings(device="cpu"))
    assert (runtime.fabric.world_size, runtime.device.type) == (1, "cpu")
    assert not [warning for warning in recwarn if "srun" in str(warning.message)]


def test_a_cuda_device_that_does_not_exist_is_named():
    with pytest.raises(UsageError, match="cuda:97"):
        make_runtime(ResourceSettings(device="cuda:97"))


def test_equal_names_give_equal_numbers_and_others_do_not():
    first = seeded_generator(3, "folds", "A").random(4)
    assert np.array_equal(first, seeded_generator(3, "folds", "A").random(4))
    for other in (
        seeded_generator(4, "folds", "A"),
        seeded_generator(3, "folds", "B"),
        seeded_generator(3, "foldsA"),
    ):
        assert not np.array_equal(first, other.random(4))


def test_torch_generators_follow_the_same_rule():
    first, second = (torch.rand(3, generator=torch_generator(0, "x")) for _ in range(2))
    assert torch.equal(first, second)


def test_seeding_torch_leaves_the_outside_as_it_was():
    before = torch.get_rng_state()
    with seeded_torch(0, "a"):
        first = torch.rand(3)
    with seeded_torch(0, "a"):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_networks_use_as_many_threads_as_asked_for():
    before = torch.get_num_threads()
    try:
        for nprocs in (1, 2):
            for low_mem in (False, True):  # which is about processes
                make_runtime(ResourceSettings(device="cpu", nprocs=nprocs, low_mem=low_mem))
                assert torch.get_num_threads() == nprocs
    finally:
        torch.set_num_threads(before)
