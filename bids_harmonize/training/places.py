"""Which of several processes this one is, as a launcher says it; needs no PyTorch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_HERE = "127.0.0.1"
_FIRST_PORT, _N_PORTS = 15000, 17000  # below those that systems hand out
_FIRST_HOST = re.compile(r"([^,\[]+)(?:\[(\w+))?")


@dataclass(frozen=True)
class Place:
    """One process among those of a run.

    Attributes
    ----------
    rank, size
        Its number, from 0, and how many there are; 0 leads.
    local_rank
        Its number among those of its host: which GPU it takes.
    address, port
        Where they meet.
    hosts
        Whether the leader opens that port; else somebody else has.
    one_host
        Whether all run on one machine.
    """

    rank: int
    size: int
    local_rank: int
    address: str
    port: int
    hosts: bool = True
    one_host: bool = True


def find_place(environment: Mapping[str, str]) -> Place | None:
    """What ``torchrun`` or ``srun`` says about this process.

    A batch script's own process belongs to no step of several tasks, however many tasks the job
    may have: it is one.

    Parameters
    ----------
    environment
        Environment variables.

    Returns
    -------
    Place or None
        ``None`` where no launcher started several processes.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        place = _of_torchrun(environment)
    elif {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"} <= set(environment):
        place = _of_srun(environment)
    else:
        return None
    return place if place.size > 1 else None


def _of_torchrun(environment: Mapping[str, str]) -> Place:
    size = int(environment["WORLD_SIZE"])
    return Place(
        rank=int(environment["RANK"]),
        size=size,
        local_rank=int(environment["LOCAL_RANK"]),
        address=environment["MASTER_ADDR"],
        port=int(environment["MASTER_PORT"]),
        hosts=environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
        one_host=int(environment.get("LOCAL_WORLD_SIZE", "0")) == size,
    )


def _of_srun(environment: Mapping[str, str]) -> Place:
    one_host = environment.get("SLURM_STEP_NUM_NODES", "1") == "1"
    # Every step of a job has a port of its own, which all its tasks know.
    step = 31 * int(environment.get("SLURM_JOB_ID", "0"))
    step += int(environment.get("SLURM_STEP_ID", "0"))
    default = _HERE if one_host else first_host(environment.get("SLURM_STEP_NODELIST", _HERE))
    return Place(
        rank=int(environment["SLURM_PROCID"]),
        size=int(environment["SLURM_STEP_NUM_TASKS"]),
        local_rank=int(environment["SLURM_LOCALID"]),
        address=environment.get("MASTER_ADDR", default),
        port=int(environment.get("MASTER_PORT", _FIRST_PORT + step % _N_PORTS)),
        one_host=one_host,
    )


def first_host(nodes: str) -> str:
    """The first name of a list as SLURM writes it.

    Examples
    --------
    >>> first_host("node[03-05,09],other"), first_host("gpu1,gpu2")
    ('node03', 'gpu1')
    """
    found = _FIRST_HOST.match(nodes)
    return nodes if found is None else "".join(part or "" for part in found.groups())
