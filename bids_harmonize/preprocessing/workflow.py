"""The participant workflow: one small workflow a scan, all scans side by side."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nipype import Node, Workflow

from bids_harmonize.preprocessing.derivatives import ScanJob
from bids_harmonize.preprocessing.interfaces import (
    ConformScan,
    CorrectBias,
    FindTissue,
    MaskBrain,
    MeasureQuality,
    SaveScan,
)

WORKFLOW_NAME = "participants"
LAST_NODE = "save"
NODE_MEMORY_GB = {
    "conform": 1.2,
    "correct_bias": 0.6,
    "mask_brain": 1.3,
    "find_tissue": 0.9,
    "measure": 0.6,
    LAST_NODE: 0.6,
}
"""Peak of each node's process, GB, rounded up. Measured on a study grid of 1 mm with a raw image
of 1 mm / 0.7 mm: 0.40 / 1.05, 0.49 / 0.52, 0.46 / 1.13, 0.68 / 0.79, 0.44 / 0.48, 0.46 / 0.49."""

PROGRAM_MEMORY_GB = {"bet": 1.0, "synthstrip": 8.0, "ants": 1.5}
"""What a program of another package is given on top, GB; generous, not measured."""


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
        ``conform -> correct_bias -> mask_brain -> find_tissue -> measure -> save``; what is not
        wanted is left out. No inputs are left open; the outputs are files of the derivative.
    """
    workflow = Workflow(name=scan_workflow_name(job.stem))
    told = {"failure_file": str(failure_file)}
    conform = _node(
        ConformScan(
            in_file=job.source,
            resolution_mm=job.settings["resolution_mm"],
            grid_shape=list(job.settings["grid_shape"] or ()),
            **told,
        ),
        "conform",
    )
    measure = _node(MeasureQuality(**told), "measure")
    save = _node(SaveScan(job=job.plain(), **told), LAST_NODE)
    scan = _add_bias(workflow, conform, save, job, told) if job.corrects_bias else conform
    workflow.connect(
        [
            (conform, measure, [("notes", "conform_notes")]),
            (conform, save, [("notes", "conform_notes")]),
            (scan, measure, [("out_file", "conformed")]),
            (scan, save, [("out_file", "conformed")]),
            (measure, save, [("measures", "measures")]),
        ]
    )
    if job.masks_brain:
        brain = _node(_mask_brain(job, told), "mask_brain", method=job.settings["brain_mask"])
        workflow.connect(
            [
                (conform, brain, [("out_file", "conformed"), ("notes", "conform_notes")]),
                (brain, measure, [("out_file", "brain")]),
                (brain, save, [("out_file", "brain"), ("notes", "brain_notes")]),
            ]
        )
        if job.finds_tissue:
            tissue = _node(FindTissue(**told), "find_tissue")
            workflow.connect(
                [
                    (scan, tissue, [("out_file", "conformed")]),
                    (brain, tissue, [("out_file", "brain")]),
                    (tissue, save, [("out_file", "tissue"), ("notes", "tissue_notes")]),
                ]
            )
    return workflow


def _node(interface: Any, name: str, *, method: str = "") -> Node:
    memory = NODE_MEMORY_GB[name] + PROGRAM_MEMORY_GB.get(method, 0.0)
    return Node(interface, name=name, mem_gb=memory)


def _add_bias(
    workflow: Workflow, conform: Node, save: Node, job: ScanJob, told: dict[str, str]
) -> Node:
    """Add the node whose conformed scan the others take."""
    method = job.settings["bias_correction"]
    bias = _node(CorrectBias(method=method, **told), "correct_bias", method=method)
    workflow.connect(
        [
            (conform, bias, [("out_file", "conformed")]),
            (bias, save, [("field_file", "bias_field"), ("notes", "bias_notes")]),
        ]
    )
    return bias


def _mask_brain(job: ScanJob, told: dict[str, str]) -> MaskBrain:
    method = job.settings["brain_mask"]
    interface = MaskBrain(
        in_file=job.source, method="template" if method == "none" else method, **told
    )
    if job.given_mask is not None:
        interface.inputs.given_file = job.given_mask["path"]
        interface.inputs.given_name = job.given_mask["name"]
    return interface


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
    workflow = Workflow(name=WORKFLOW_NAME, base_dir=str(work_dir))
    workflow.add_nodes(
        [
            init_scan_wf(job, failure_file=failure_file)
            for job, failure_file in zip(jobs, failure_files, strict=True)
        ]
    )
    return workflow
