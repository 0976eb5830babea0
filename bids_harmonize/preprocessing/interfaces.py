"""nipype interfaces: each loads its inputs, calls one function of ``steps``, saves the result."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)
from nipype.interfaces.base.support import Bunch

from bids_harmonize.preprocessing.derivatives import Made, ScanJob, save_scan
from bids_harmonize.preprocessing.outcome import recording_failure
from bids_harmonize.preprocessing.steps import (
    conform,
    correct_bias_field,
    find_tissue_maps,
    mask_brain,
    measure,
)


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


class _BiasInput(_Input):
    conformed = File(exists=True, mandatory=True, desc="what ConformScan wrote")
    method = traits.Enum("n4", "ants", mandatory=True, desc="SimpleITK, or the program of ANTs")


class _BiasOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="the conformed scan without its bias field")
    field_file = File(desc="the field")
    notes = traits.Dict(desc="method and range of the field")


class CorrectBias(SimpleInterface):  # type: ignore[misc]
    """Take the coil's smooth field out of the conformed scan."""

    input_spec = _BiasInput
    output_spec = _BiasOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        out_file = Path(runtime.cwd) / "corrected.npz"
        field_file = Path(runtime.cwd) / "field.npz"
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["notes"] = correct_bias_field(
                Path(self.inputs.conformed), out_file, field_file, method=self.inputs.method
            )
        self._results["out_file"] = str(out_file)
        self._results["field_file"] = str(field_file)
        return runtime


class _BrainInput(_Input):
    in_file = File(exists=True, mandatory=True, desc="raw image")
    conformed = File(exists=True, mandatory=True, desc="what ConformScan wrote")
    conform_notes = traits.Dict(mandatory=True, desc="notes of ConformScan")
    method = traits.Str("template", usedefault=True, desc="template, bet or synthstrip")
    given_file = File(exists=True, desc="brain mask of a derivative dataset; it wins")
    given_name = traits.Str(desc="name of that dataset")


class _BrainOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="brain mask and world-to-template matrix")
    notes = traits.Dict(desc="flags, confidence, volume, correlation with the template, source")


class MaskBrain(SimpleInterface):  # type: ignore[misc]
    """Find the brain with the template, by another program, or as it is given."""

    input_spec = _BrainInput
    output_spec = _BrainOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        out_file = Path(runtime.cwd) / "brain.npz"
        given = None
        if isdefined(self.inputs.given_file):
            given = {"path": self.inputs.given_file, "name": self.inputs.given_name}
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["notes"] = mask_brain(
                Path(self.inputs.in_file),
                Path(self.inputs.conformed),
                out_file,
                skull_stripped=self.inputs.conform_notes["skull_stripped"],
                method=self.inputs.method,
                given=given,
            )
        self._results["out_file"] = str(out_file)
        return runtime


class _TissueInput(_Input):
    conformed = File(exists=True, mandatory=True, desc="what ConformScan or CorrectBias wrote")
    brain = File(exists=True, mandatory=True, desc="what MaskBrain wrote")


class _TissueOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="tissue maps and deformation")
    notes = traits.Dict(desc="flags and volumes")


class FindTissue(SimpleInterface):  # type: ignore[misc]
    """Grey matter, white matter and fluid, and the deformation to the template."""

    input_spec = _TissueInput
    output_spec = _TissueOutput

    def _run_interface(self, runtime: Bunch) -> Bunch:
        out_file = Path(runtime.cwd) / "tissue.npz"
        with recording_failure(Path(self.inputs.failure_file)):
            self._results["notes"] = find_tissue_maps(
                Path(self.inputs.conformed), Path(self.inputs.brain), out_file
            )
        self._results["out_file"] = str(out_file)
        return runtime


class _MeasureInput(_Input):
    conformed = File(exists=True, mandatory=True, desc="what ConformScan or CorrectBias wrote")
    conform_notes = traits.Dict(mandatory=True, desc="notes of ConformScan")
    brain = File(exists=True, desc="what MaskBrain wrote")


class _MeasureOutput(TraitedSpec):  # type: ignore[misc]
    measures = traits.Dict(desc="name to value")


class MeasureQuality(SimpleInterface):  # type: ignore[misc]
    """Quality measures of the scan as it will be saved."""

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
    conformed = File(exists=True, mandatory=True, desc="what ConformScan or CorrectBias wrote")
    brain = File(exists=True, desc="what MaskBrain wrote")
    bias_field = File(exists=True, desc="the field that CorrectBias wrote")
    tissue = File(exists=True, desc="what FindTissue wrote")
    measures = traits.Dict(mandatory=True, desc="what MeasureQuality found")
    conform_notes = traits.Dict(mandatory=True, desc="notes of ConformScan")
    brain_notes = traits.Dict(desc="notes of MaskBrain")
    bias_notes = traits.Dict(desc="notes of CorrectBias")
    tissue_notes = traits.Dict(desc="notes of FindTissue")


class _SaveOutput(TraitedSpec):  # type: ignore[misc]
    out_file = File(desc="the preprocessed image")


class SaveScan(SimpleInterface):  # type: ignore[misc]
    """Write the derivatives; always runs, since its outputs lie outside the work directory."""

    input_spec = _SaveInput
    output_spec = _SaveOutput
    _always_run = True

    def _run_interface(self, runtime: Bunch) -> Bunch:
        with recording_failure(Path(self.inputs.failure_file)):
            made = Made(
                conformed=Path(self.inputs.conformed),
                brain=_path_or_none(self.inputs.brain),
                bias_field=_path_or_none(self.inputs.bias_field),
                tissue=_path_or_none(self.inputs.tissue),
                measures=self.inputs.measures,
                notes=self._notes(),
            )
            self._results["out_file"] = str(save_scan(ScanJob(**self.inputs.job), made))
        return runtime

    def _notes(self) -> dict[str, Any]:
        """What the steps that were run had to say, in their order."""
        steps = ("conform", "bias", "brain", "tissue")
        told = {step: getattr(self.inputs, f"{step}_notes") for step in steps}
        return {step: note for step, note in told.items() if isdefined(note) and note}
