"""How several processes find each other, and what is said where they do not."""

import os
import signal

import pytest
import torch

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import UsageError, WorkerError
from bids_harmonize.preemption import signals_deferred, stopping_on_signals
from bids_harmonize.training.crew_start import count_devices, crew_in
from bids_harmonize.training.places import Place, find_place
from bids_harmonize.training.runtime import make_runtime

TWO = ResourceSettings(device="cpu", devices=2, nprocs=2)


def die(runtime):
    if runtime.crew.rank:
        os._exit(1)


def lose_a_helper():
    with crew_in(TWO, None) as crew:
        crew.order(die)
        crew.share([torch.zeros(2)])


def test_a_helper_that_dies_is_named_and_nothing_hangs():
    with pytest.raises(WorkerError, match=r"another process of this run .* out of memory"):
        lose_a_helper()


def be_asked_to_stop(runtime):
    """A scheduler's signal comes to every process of a job."""
    with signals_deferred() as must_stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        return runtime.crew.gather(must_stop())


def test_a_signal_is_deferred_by_a_helper_too():
    with stopping_on_signals(), crew_in(TWO, None) as crew:
        crew.order(be_asked_to_stop)
        assert be_asked_to_stop(make_runtime(TWO, crew)) == [True, True]


def test_a_crew_that_is_never_asked_starts_no_process():
    with crew_in(TWO, None) as crew:
        assert crew.size == 2
        assert not crew.is_connected


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "gpu1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
SRUN = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "2",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
}


def test_launchers_say_which_process_this_is():
    assert find_place(TORCHRUN) == Place(3, 4, 1, "gpu1", 29500, hosts=False, one_host=False)
    assert find_place(SRUN) == Place(1, 2, 0, "gpu07", 15219, one_host=False)
    one_host = find_place({**SRUN, "SLURM_STEP_NUM_NODES": "1"})
    assert one_host == Place(1, 2, 0, "127.0.0.1", 15219)


def test_a_job_of_several_tasks_is_no_launcher_by_itself():
    batch = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}
    assert find_place(batch) is None
    assert find_place({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_place({}) is None


def test_more_devices_than_there_are_are_refused():
    place = find_place(SRUN)
    assert count_devices(ResourceSettings(device="cpu"), place) == 2
    assert count_devices(ResourceSettings(device="cpu", devices=3), None) == 3
    assert count_devices(ResourceSettings(device="cuda:1"), None) == 1
    with pytest.raises(UsageError, match="--devices 4: the launcher started 2 processes"):
        count_devices(ResourceSettings(device="cpu", devices=4), place)
    with pytest.raises(UsageError, match="--device cuda:0, which is one"):
        count_devices(ResourceSettings(device="cuda:0", devices=2), None)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--devices 2: found 0 CUDA device"):
            count_devices(ResourceSettings(device="cuda", devices=2), None)
