"""What a CUDA device computes is what the CPU computes."""

import numpy as np
import pytest
import torch

from bids_harmonize.config import ResourceSettings
from bids_harmonize.networks.bilateral_generator import BilateralGenerator
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.runtime import classifier_runtime, make_runtime, seeded_torch
from tests.harmonizers.small_study import cpu_runtime, make_finer, make_volumes

pytestmark = pytest.mark.gpu


@pytest.fixture
def runtime():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return make_runtime(ResourceSettings(device="cuda"))


def test_the_generator_makes_the_same_image_on_both_devices(runtime):
    with seeded_torch(0, "gpu"):
        generator = BilateralGenerator(voxel_size_mm=4.0, sharpened_mm=4.0).eval()
        for parameter in generator.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    rng = np.random.default_rng(0)
    volume = torch.from_numpy(rng.random((1, 1, 48, 56, 48), dtype=np.float32))
    mask = (volume > 0.2).float()
    with torch.no_grad():
        expected, _ = generator(volume * mask, mask)
        generator.to(runtime.device)
        found, _ = generator((volume * mask).to(runtime.device), mask.to(runtime.device))
    assert torch.abs(found.cpu() - expected).max().item() < 1e-4


def test_the_classifier_trains_in_bfloat16_where_the_precision_is_left_to_the_app(runtime):
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("the device does not compute in bfloat16")
    assert classifier_runtime(runtime).precision == "bf16-mixed"
    wished = make_runtime(ResourceSettings(device="cuda", precision="32-true"))
    assert classifier_runtime(wished) is wished


def test_a_training_on_boxes_has_the_losses_of_the_cpu(runtime):
    volumes = make_volumes(3)
    places = {"source": (0, 1), "reference": (3, 4)}
    data = PairData(volumes, places, places, fine=make_finer(volumes))
    settings = PairSettings(cycle_weight=2.0, adversarial_weight=0.3)
    found = [
        [training.step(iteration) for iteration in range(3)]
        for training in (
            PairTraining(data, settings, runtime=own, seed=0, sharpens=True)
            for own in (cpu_runtime(), runtime)
        )
    ]
    for expected, made in zip(*found, strict=True):
        assert made == pytest.approx(expected, rel=1e-3, abs=1e-4)
