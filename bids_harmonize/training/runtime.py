"""Where training runs, and the one source of its randomness.

Choice: Lightning Fabric picks device and precision and nothing else; the loop is ours. With
``auto`` precision the harmonizers compute in 32 bit on every device: histograms and bilateral
slices lose more to half precision than they would gain in speed. The site classifier trains in
bfloat16 on a CUDA device that has it (its convolutions alone; statistics, linear layer and
everything that it says about a scan stay 32 bit). Rejected: float16, which needs a loss scaler and
overflows; bfloat16 on a CPU, which few CPUs compute faster; channels-last tensors, no faster on a
CPU. Revisit both with figures of a GPU that trains at 1 mm.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import UsageError
from bids_harmonize.training.crew import ALONE, Crew

# cuBLAS is deterministic only with a fixed workspace; PyTorch demands that it is set.
_CUBLAS_WORKSPACE = ":4096:8"


@dataclass(frozen=True)
class Runtime:
    """Device and precision of a run.

    Attributes
    ----------
    device
        Where tensors live.
    precision
        Fabric's word, for instance ``32-true``.
    fabric
        Gives ``autocast()`` and moves modules; launched nowhere, single device.
    is_automatic
        The precision was left to the app.
    crew
        The processes that train together.
    """

    device: torch.device
    precision: str
    fabric: Fabric
    is_automatic: bool = False
    crew: Crew = ALONE

    def alone(self) -> Self:
        """The same without the other processes, for work that one does by itself."""
        return replace(self, crew=ALONE)


def make_runtime(resources: ResourceSettings, crew: Crew | None = None) -> Runtime:
    """Device and precision as asked for, with deterministic algorithms switched on.

    Parameters
    ----------
    resources
        ``device``, ``precision`` and ``nprocs`` (threads of the group level; ``None`` is all
        processors).
    crew
        The processes of the run, this one among them; ``None`` for one.

    Returns
    -------
    Runtime
        Ready to use.

    Raises
    ------
    UsageError
        If a CUDA device is asked for that is not there.
    """
    crew = crew or ALONE
    wanted = resources.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    index = int(number) if number else crew.local_rank % max(torch.cuda.device_count(), 1)
    if kind == "cuda" and index >= torch.cuda.device_count():
        message = (
            f"--device {resources.device}: found {torch.cuda.device_count()} CUDA device(s); "
            "use --device cpu, or a number that exists"
        )
        raise UsageError(message)
    # Not PyTorch's own guess: OMP_NUM_THREADS=1, right for many workers, would slow this one.
    n_threads = resources.nprocs or len(os.sched_getaffinity(0))
    torch.set_num_threads(max(n_threads // crew.n_sharing, 1))
    precision = "32-true" if resources.precision == "auto" else resources.precision
    if kind == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _CUBLAS_WORKSPACE)
    # A few CUDA kernels have no deterministic form; there a warning must do.
    torch.use_deterministic_algorithms(True, warn_only=kind == "cuda")
    devices = [index] if kind == "cuda" else 1
    fabric = _single(kind, devices, precision)
    is_automatic = resources.precision == "auto"
    return Runtime(fabric.device, precision, fabric, is_automatic, crew)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums on the CPU in one order, so that ``--nprocs`` changes no bit of what is computed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def classifier_runtime(runtime: Runtime) -> Runtime:
    """Device and precision for the training of a site classifier.

    Parameters
    ----------
    runtime
        Of the run.

    Returns
    -------
    Runtime
        ``bf16-mixed`` where the precision was left to the app and the device is a CUDA device
        that computes in bfloat16; the same runtime elsewhere.
    """
    if not runtime.is_automatic or runtime.device.type != "cuda":
        return runtime
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        return runtime
    devices = [runtime.device.index or 0]
    fabric = _single("cuda", devices, "bf16-mixed")
    return Runtime(fabric.device, "bf16-mixed", fabric, is_automatic=True)


def _single(kind: str, devices: list[int] | int, precision: Any) -> Fabric:
    """Fabric on one device, which does not take a SLURM allocation of many tasks for its own."""
    return Fabric(
        accelerator=kind, devices=devices, precision=precision, plugins=LightningEnvironment()
    )


def derived_seed(seed: int, *names: str) -> int:
    """A seed of 63 bits for one named purpose, equal on every machine.

    Parameters
    ----------
    seed
        The run's ``--random-seed``.
    *names
        What the numbers are for, for instance ``"classifier", "fold-1"``.

    Returns
    -------
    int
        At least 0 and below 2**63.

    Examples
    --------
    >>> derived_seed(0, "folds") == derived_seed(0, "folds")
    True
    >>> derived_seed(0, "folds") == derived_seed(1, "folds")
    False
    """
    text = "\x1f".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seeded_generator(seed: int, *names: str) -> np.random.Generator:
    """A NumPy generator for one named purpose; see :func:`derived_seed`."""
    return np.random.default_rng(derived_seed(seed, *names))


def torch_generator(seed: int, *names: str) -> torch.Generator:
    """A PyTorch CPU generator for one named purpose; see :func:`derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, *names))


@contextmanager
def seeded_torch(seed: int, *names: str) -> Iterator[None]:
    """Seed PyTorch's own generators inside the block and put them back after it.

    Initial weights and dropout draw from these generators, and cannot be given another.

    Parameters
    ----------
    seed
        The run's ``--random-seed``.
    *names
        What the numbers are for.

    Yields
    ------
    None
        Nothing; the block runs with the seeded generators.
    """
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(seed, *names))
        yield
