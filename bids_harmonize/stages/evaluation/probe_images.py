"""The scans that may be trained on, as each method shows them to a network; each made once."""

from collections.abc import Sequence

from bids_harmonize.bids.judged import JudgedImages
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.judged import judged_volumes
from bids_harmonize.stages.evaluation.probes import too_small_half
from bids_harmonize.stages.harmonization.crossfit import (
    HalfModels,
    cross_fitted_images,
    fit_baseline_halves,
)
from bids_harmonize.stages.inputs import scan_files
from bids_harmonize.training.volumes import DiskVolumes, VolumeSource, map_volumes


class ProbeImages:
    """Images of all methods on the grid of the site classifier, kept in the work directory.

    Parameters
    ----------
    context
        The study and its settings.
    half_models
        The chosen harmonizer fitted on each half; ``None`` where it was not.
    judged
        Images of other tools; as they are, so whoever trained a tool is seen by it.
    resolution_mm
        Voxel size, mm.

    Attributes
    ----------
    why_none
        Why nothing is cross-fitted; ``None`` where it is.
    halves
        The participants of each half; empty where nothing is cross-fitted.
    foreign
        Method to the other tool's images.
    network
        Unharmonized scans on the grid of the site classifier.
    resolution_mm
        As given.
    """

    def __init__(
        self,
        context: StageContext,
        half_models: HalfModels | None,
        judged: Sequence[JudgedImages],
        *,
        resolution_mm: float,
    ) -> None:
        self.foreign = {one.method: one for one in judged}
        self._context = context
        self._folder = context.work_dir / "evaluate"
        study = context.study
        self.why_none = too_small_half(
            study.site_of_participant(),
            half_models.halves if half_models else (),
            study.trained_sites,
        )
        self._half_models = half_models if self.why_none is None else None
        self.halves = self._half_models.halves if self._half_models else ()
        scans = [scan_files(scan) for scan in study.training_scans]
        native = DiskVolumes(scans, study.scaling_mask)
        self.network = map_volumes(native, resolution_mm=resolution_mm, folder=context.work_dir)
        self.resolution_mm = resolution_mm
        self._sources = (native, self.network)
        self._made: dict[str, VolumeSource | None] = {IDENTITY: self.network}

    def of(self, method: str) -> VolumeSource | None:
        """Cross-fitted images of a method, those of another tool as they are.

        Parameters
        ----------
        method
            ``identity``, a training-free method, the chosen harmonizer, or ``judge:NAME``.

        Returns
        -------
        VolumeSource or None
            ``None`` where nothing is cross-fitted, or another tool lacks a scan of a source site.
        """
        if method not in self._made:
            self._made[method] = (
                self._judged(method) if method in self.foreign else self._cross_fitted(method)
            )
        return self._made[method]

    def _judged(self, method: str) -> VolumeSource | None:
        tool = self.foreign[method]
        return judged_volumes(
            tool,
            self._sources,
            reference_site=self._context.study.reference_site,
            path=self._folder / f"judged-{tool.name}.npy",
        )

    def _cross_fitted(self, method: str) -> VolumeSource | None:
        if self._half_models is None:
            return None
        fitted = self._half_models
        if method != self._context.settings.group.harmonizer:
            study = self._context.study
            unit = fitted.models[0].high[study.reference_site] if study.outside_reference else None
            fitted = fit_baseline_halves(
                method,
                self._sources,
                fitted.halves,
                reference_site=study.reference_site,
                runtime=self._context.runtime,
                work_dir=self._folder,
                reference_high=unit,
            )
        path = self._folder / f"crossfitted-{method}.npy"
        return cross_fitted_images(fitted, self._sources, path=path)
