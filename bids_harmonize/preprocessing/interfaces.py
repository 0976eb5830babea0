"""nipype interfaces: each loads its inputs, calls one function of ``steps``, saves the result."""

from pathlib import Path

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)
from nipype.interfaces.base.support import Bunch

from bids_harmonize.preprocessing.derivatives import ScanJob, save_scan
from bids_harmonize.preprocessing.outcome import recording_failure
from bids_harmonize.preprocessing.steps import conform, mask_brain, measure


def _path_or_none(value: object) -> Path | None:
    return Path(str(value)) if isdefined(value) else None


class _Input(BaseInterfaceInputSpec):  # type: ignore[misc]
    failure_file = traits.Str(mandatory=True, nohash=True, desc="told here why the scan failed")


class _ConformInput(_Input):
    in_file = File(exists=True, mandatory=True, desc="raw image")
    resolution_mm = traits.Float(mandatory=True, desc="voxel size of the study grid, mm")
    grid_shape = traits.List(traits.Int, desc="shape of the study grid; empty for the default")


class _ConformOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="volume, head mask and affine on the study grid")
    notes = traits.Dict(desc="flags and native grid")


class ConformScan(SimpleInterface):  # type: ignore[misc]
    """Find the head and put the scan on the study grid."""

    input_spec = _ConformInput
    output_spec = _ConformOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        out_file = Path(runtime.cwd) / "conformed.npz"
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["notes"] = conform(
                Path(self.inputs.in_file),
                out_file,
                resolution_mm=self.inputs.resolution_mm,
                grid_shape=tuple(self.inputs.grid_shape) or None,
            )
        self._results["out_file"] = str(out_file)
        return runtime


class _BrainInput(_Input):
    in_file = File(exists=True, mandatory=True, desc="raw image")
    conformed = File(exists=True, mandatory=True, desc="what ConformScan wrote")
    conform_notes = traits.Dict(mandatory=True, desc="notes of ConformScan")


class _BrainOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="brain mask and world-to-template matrix")
    notes = traits.Dict(desc="flags, volume, correlation with the template")


class MaskBrain(SimpleInterface):  # type: ignore[misc]
    """Find the brain with the template."""

    input_spec = _BrainInput
    output_spec = _BrainOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        out_file = Path(runtime.cwd) / "brain.npz"
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["notes"] = mask_brain(
                Path(self.inputs.in_file),
                Path(self.inputs.conformed),
                out_file,
                skull_stripped=self.inputs.conform_notes["skull_stripped"],
            )
        self._results["out_file"] = str(out_file)
        return runtime


class _MeasureInput(_Input):
    conformed = File(exists=True, mandatory=True, desc="what ConformScan wrote")
    conform_notes = traits.Dict(mandatory=True, desc="notes of ConformScan")
    brain = File(exists=True, desc="what MaskBrain wrote")


class _MeasureOutput(TraitedSpec):  # type: ignore[misc]
    measures = traits.Dict(desc="name to value")


class MeasureQuality(SimpleInterface):  # type: ignore[misc]
    """Quality measures of the conformed scan."""

    input_spec = _MeasureInput
    output_spec = _MeasureOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["measures"] = measure(
                Path(self.inputs.conformed),
                _path_or_none(self.inputs.brain),
                raw_measures=self.inputs.conform_notes["measures"],
            )
        return runtime


class _SaveInput(_Input):
    job = traits.Dict(mandatory=True, desc="fields of ScanJob")
    conformed = File(exists=True, mandatory=True, desc="what ConformScan wrote")
    brain = File(exists=True, desc="what MaskBrain wrote")
    measures = traits.Dict(mandatory=True, desc="what MeasureQuality found")
    conform_notes = traits.Dict(mandatory=True, desc="notes of ConformScan")
    brain_notes = traits.Dict(desc="notes of MaskBrain")


class _SaveOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="the preprocessed image")


class SaveScan(SimpleInterface):  # type: ignore[misc]
    """Write the derivatives; always runs, since its outputs lie outside the work directory."""

    input_spec = _SaveInput
    output_spec = _SaveOutput
    _always_run = True

    def _run_interface(self, runtime: Bunch) -> Bunch:
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["out_file"] = str(
                save_scan(
                    ScanJob(**self.inputs.job),
                    conformed_file=Path(self.inputs.conformed),
                    brain_file=_path_or_none(self.inputs.brain),
                    measures=self.inputs.measures,
                    conform_notes=self.inputs.conform_notes,
                    brain_notes=self.inputs.brain_notes if isdefined(self.inputs.brain) else {},
                )
            )
        return runtime
