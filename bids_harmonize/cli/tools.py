"""Programs of others that a run needs: looked for before any work is done."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tool:
    """A program, the package it comes in, and where that is got."""

    program: str
    package: str
    where: str


TOOLS: dict[tuple[str, str], Tool] = {
    ("brain_mask", "bet"): Tool(
        "bet",
        "FSL",
        "https://fsl.fmrib.ox.ac.uk/fsl/docs (set FSLDIR, and put $FSLDIR/bin on PATH)",
    ),
    ("brain_mask", "synthstrip"): Tool(
        "mri_synthstrip",
        "FreeSurfer 7.3 or newer",
        "https://surfer.nmr.mgh.harvard.edu/docs/synthstrip (put $FREESURFER_HOME/bin on PATH)",
    ),
    ("bias_correction", "ants"): Tool(
        "N4BiasFieldCorrection",
        "ANTs",
        "https://github.com/ANTsX/ANTs/releases, or conda install -c conda-forge ants",
    ),
}
"""Setting of ``preprocessing`` and its value to the program that it needs."""


def missing_tools(preprocessing: Mapping[str, Any]) -> list[str]:
    """What is wanted but not on PATH, one sentence a program.

    Parameters
    ----------
    preprocessing
        Settings by name, as far as they are given.

    Returns
    -------
    list of str
        What was looked for and how to get it; empty where all is there.
    """
    return [
        f"--{setting.replace('_', '-')} {value}: no program {tool.program} on PATH; it comes with "
        f"{tool.package}: {tool.where}. Our container does not hold it: docs/usage.md, Other "
        "programs, says how to add it"
        for (setting, value), tool in TOOLS.items()
        if preprocessing.get(setting) == value and shutil.which(tool.program) is None
    ]
