"""The participant workflow: one small workflow a scan, all scans side by side."""

import re
from collections.abc import Sequence
from pathlib import Path

from nipype import Node, Workflow

from bids_harmonize.preprocessing.derivatives import ScanJob
from bids_harmonize.preprocessing.interfaces import (
    ConformScan,
    MaskBrain,
    MeasureQuality,
    SaveScan,
)

LAST_NODE = "save"
VOXELS_AT_1_MM = 192 * 224 * 192


def scan_workflow_name(stem: str) -> str:
    """The name nipype knows a scan by.

    Examples
    --------
    >>> scan_workflow_name("sub-01_ses-A_run-1")
    'sub_01_ses_A_run_1_wf'
    """
    return f"{re.sub(r'[^A-Za-z0-9]', '_', stem)}_wf"


def init_scan_wf(job: ScanJob, *, failure_file: Path) -> Workflow:
    """Workflow of one scan.

    Parameters
    ----------
    job
        The scan, where it goes, and the settings.
    failure_file
        Where a node that fails says why.

    Returns
    -------
    nipype.Workflow
        ``conform -> mask_brain -> measure -> save``; without ``mask_brain`` where no brain mask
        is wanted. No inputs are left open; the outputs are files of the derivative.
    """
    workflow = Workflow(name=scan_workflow_name(job.stem))
    told = {"failure_file": str(failure_file)}
    memory_gb = estimate_memory_gb(job)
    conform = Node(
        ConformScan(
            in_file=job.source,
            resolution_mm=job.settings["resolution_mm"],
            grid_shape=list(job.settings["grid_shape"] or ()),
            **told,
        ),
        name="conform",
        mem_gb=memory_gb,
    )
    measure = Node(MeasureQuality(**told), name="measure", mem_gb=memory_gb)
    save = Node(SaveScan(job=job.plain(), **told), name=LAST_NODE, mem_gb=memory_gb)
    workflow.connect(
        [
            (conform, measure, [("out_file", "conformed"), ("notes", "conform_notes")]),
            (conform, save, [("out_file", "conformed"), ("notes", "conform_notes")]),
            (measure, save, [("measures", "measures")]),
        ]
    )
    if job.settings["brain_mask"] == "template":
        brain = Node(MaskBrain(in_file=job.source, **told), name="mask_brain", mem_gb=memory_gb)
        workflow.connect(
            [
                (conform, brain, [("out_file", "conformed"), ("notes", "conform_notes")]),
                (brain, measure, [("out_file", "brain")]),
                (brain, save, [("out_file", "brain"), ("notes", "brain_notes")]),
            ]
        )
    return workflow


def init_participants_wf(
    jobs: Sequence[ScanJob], *, work_dir: Path, failure_files: Sequence[Path]
) -> Workflow:
    """Workflow of several scans, of any number of participants.

    Parameters
    ----------
    jobs
        One a scan.
    work_dir
        Where nipype keeps what lies between the nodes.
    failure_files
        One a scan, see :func:`init_scan_wf`.

    Returns
    -------
    nipype.Workflow
        The scans' workflows, which do not depend on one another.
    """
    workflow = Workflow(name="participants", base_dir=str(work_dir))
    workflow.add_nodes(
        [
            init_scan_wf(job, failure_file=failure_file)
            for job, failure_file in zip(jobs, failure_files, strict=True)
        ]
    )
    return workflow


def estimate_memory_gb(job: ScanJob) -> float:
    """Memory of one node, GB: measured at 1 mm and 3 mm, linear in the voxels in between."""
    shape = job.settings["grid_shape"]
    size = job.settings["resolution_mm"]
    voxels = VOXELS_AT_1_MM / size**3 if shape is None else shape[0] * shape[1] * shape[2]
    return round(0.6 + 1.2 * voxels / VOXELS_AT_1_MM, 2)
