"""Programs of other packages, run through nipype, on clean copies of the volume.

Choice: a program gets the voxels as we read them, straightened to RAS+, in a new file. Reason:
raw headers contradict themselves, hold a fourth axis or a slope, and every program reads these
in its own way. Rejected: the raw file itself. Revisit if a program needs the raw header.
"""

from collections.abc import Callable
from pathlib import Path

from nipype.interfaces.ants import N4BiasFieldCorrection
from nipype.interfaces.base import (
    CommandLine,
    CommandLineInputSpec,
    File,
    TraitedSpec,
)
from nipype.interfaces.fsl import BET

from bids_harmonize.errors import ScanError

N_LAST_WORDS = 300
N4_COARSE_MM = 4.0
N4_ITERATIONS = (50, 50, 50)
N4_SPLINE_MM = 100.0


class _SynthStripInput(CommandLineInputSpec):  # type: ignore[misc]
    in_file = File(exists=True, mandatory=True, argstr="-i %s", desc="head")
    out_file = File(mandatory=True, argstr="-o %s", desc="brain, where it is written")
    out_mask = File(mandatory=True, argstr="-m %s", desc="mask, where it is written")


class _SynthStripOutput(TraitedSpec):  # type: ignore[misc]
    out_mask = File(exists=True, desc="brain mask")


class SynthStrip(CommandLine):  # type: ignore[misc]
    """Brain mask by FreeSurfer's mri_synthstrip, for which nipype has no interface.

    References
    ----------
    Hoopes et al. 2022, doi:10.1016/j.neuroimage.2022.119474.
    """

    _cmd = "mri_synthstrip"
    input_spec = _SynthStripInput
    output_spec = _SynthStripOutput

    def _list_outputs(self) -> dict[str, str]:
        return {"out_mask": str(self.inputs.out_mask)}


def run_bet(volume_file: Path, folder: Path) -> Path:
    """Brain mask of a volume by FSL's BET, with its robust search for the centre.

    Parameters
    ----------
    volume_file
        The head, NIfTI.
    folder
        Where the program writes.

    Returns
    -------
    Path
        The mask.

    Raises
    ------
    ScanError
        If the program fails or writes no mask.

    References
    ----------
    Smith 2002, doi:10.1002/hbm.10062.
    """
    bet = BET(
        in_file=str(volume_file),
        out_file=str(folder / "bet.nii.gz"),
        mask=True,
        robust=True,
        no_output=True,
        output_type="NIFTI_GZ",
    )
    # its return code means nothing, see nipype
    return _run(bet, "bet", folder=folder, output=folder / "bet_mask.nii.gz", check_code=False)


def run_synthstrip(volume_file: Path, folder: Path) -> Path:
    """Brain mask of a volume by SynthStrip; as :func:`run_bet`."""
    mask = folder / "synthstrip_mask.nii.gz"
    interface = SynthStrip(
        in_file=str(volume_file),
        out_file=str(folder / "synthstrip.nii.gz"),
        out_mask=str(mask),
    )
    return _run(interface, "mri_synthstrip", folder=folder, output=mask)


BRAIN_PROGRAMS: dict[str, Callable[[Path, Path], Path]] = {
    "bet": run_bet,
    "synthstrip": run_synthstrip,
}
"""Value of ``--brain-mask`` to what finds the brain."""


def run_n4(volume_file: Path, mask_file: Path, folder: Path, *, resolution_mm: float) -> Path:
    """Bias field of a volume by ANTs.

    Parameters
    ----------
    volume_file, mask_file
        The volume and the voxels that steer the field, NIfTI.
    folder
        Where the program writes.
    resolution_mm
        Voxel size; the program works on a copy of about 4 mm.

    Returns
    -------
    Path
        The field.

    Raises
    ------
    ScanError
        If the program fails or writes no field.

    References
    ----------
    Tustison et al. 2010, doi:10.1109/TMI.2010.2046908.
    """
    field = folder / "n4_field.nii.gz"
    interface = N4BiasFieldCorrection(
        dimension=3,
        input_image=str(volume_file),
        mask_image=str(mask_file),
        output_image="n4.nii.gz",  # relative: nipype does not quote a space in these two
        bias_image=field.name,
        n_iterations=list(N4_ITERATIONS),
        convergence_threshold=1e-6,
        shrink_factor=max(1, round(N4_COARSE_MM / resolution_mm)),
        bspline_fitting_distance=N4_SPLINE_MM,
        num_threads=1,
    )
    return _run(interface, "N4BiasFieldCorrection", folder=folder, output=field)


def _run(
    interface: CommandLine, program: str, *, folder: Path, output: Path, check_code: bool = True
) -> Path:
    interface.terminal_output = "allatonce"
    result = interface.run(cwd=str(folder), ignore_exception=True)
    code = getattr(result.runtime, "returncode", None)
    if output.is_file() and (code == 0 or not check_code):
        return output
    told = " ".join(
        f"{getattr(result.runtime, 'stdout', '') or ''} "
        f"{getattr(result.runtime, 'stderr', '') or ''}".split()
    )
    if not told and code is None:
        told = (getattr(result.runtime, "traceback", "") or "").strip().rpartition("\n")[2]
    what = f"wrote no {output.name}" if code == 0 else f"failed (return code {code})"
    message = f"{program} {what}; its last words: {told[-N_LAST_WORDS:] or 'none'}"
    raise ScanError(message)
