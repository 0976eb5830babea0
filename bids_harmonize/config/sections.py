"""The sections of the settings: frozen, strict, each value with its range."""

from dataclasses import field
from typing import Annotated, Any, Final, Literal, LiteralString

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

_STRICT = ConfigDict(extra="forbid")

SiteSource = Literal["auto", "participants", "sessions", "scans", "session-label", "metadata"]
StageName = Literal["classify", "harmonize", "features", "evaluate", "disorder", "subtypes"]
FeatureArm = Literal["raw", "harmonized"]
Effort = Literal["quick", "full"]
Sources = Literal["pairwise", "joint"]
ClassifierName = Literal["lean", "sfcn", "densenet121", "resnet18"]
BiasCorrection = Literal["none", "n4", "ants"]
BrainMaskMethod = Literal["template", "none", "bet", "synthstrip"]

_ONE_GRID: LiteralString = (
    "all sites must share one grid, or the voxel size alone would tell the site; give"
    " millimetres, for instance the voxel size of the study's coarsest scans"
)


def _refuse_native(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower().startswith(("native", "orig")):
        kind = "one_grid"
        raise PydanticCustomError(kind, _ONE_GRID)
    return value


MEDIAN_REFERENCE: Final = "median"
"""``--reference-site`` of this name is no site: it is the median of all trained sites."""


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class SelectionSettings:
    """Which scans are used; labels stand without ``sub-`` and ``ses-``."""

    participant_label: tuple[str, ...] = ()
    session_label: tuple[str, ...] = ()
    bids_filter: dict[str, Any] = field(default_factory=dict)
    derivatives: dict[str, str] = field(default_factory=dict)
    dataset: dict[str, str] = field(default_factory=dict)
    label_prefix: bool = False
    same_participants: bool = False
    bids_database_dir: str | None = None


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class SiteSettings:
    """Where the site of a scan is read, and which sites train."""

    site_source: SiteSource = "auto"
    site_key: tuple[str, ...] = ()
    site_from_session: str | None = None
    site_map: str | None = None
    reference_site: str | None = None
    min_per_site: int = Field(default=5, ge=2)
    hold_out_travelling: int = Field(default=0, ge=0)


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class PreprocessingSettings:
    """The study grid, the masks and the tissue of the participant level."""

    resolution_mm: Annotated[float, BeforeValidator(_refuse_native)] = Field(
        default=1.0, ge=0.5, le=6.0
    )
    grid_shape: tuple[int, int, int] | None = None
    bias_correction: BiasCorrection = "none"
    brain_mask: BrainMaskMethod = "template"
    tissue: bool = True


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ClassifierSettings:
    """Training of the site classifier; the defaults are the measured recipe."""

    network: ClassifierName = "lean"
    n_epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=6, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    flip_probability: float = Field(default=0.5, ge=0, le=1)
    mask_block_probability: float = Field(default=0.25, ge=0, le=1)
    keep_block_probability: float = Field(default=0.25, ge=0, le=1)
    affine_probability: float = Field(default=0.0, ge=0, le=1)
    max_rotation_degrees: float = Field(default=5.0, ge=0, le=45)
    max_scaling: float = Field(default=0.03, ge=0, le=0.2)
    max_offset_voxels: float = Field(default=0.5, ge=0)
    early_stop: bool = False
    min_epochs: int = Field(default=10, ge=1)
    patience_epochs: int = Field(default=5, ge=1)


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class GroupSettings:
    """What the group level does; ``None`` means chosen from the data."""

    stages: tuple[StageName, ...] | None = None
    harmonizer: str = "cyclegan"
    sources: Sources = "pairwise"
    network_resolution_mm: float | None = Field(default=None, ge=0.5, le=8.0)
    sub_boxes: Literal["auto", "on", "off"] = "auto"
    effort: Effort = "full"
    folds: int = Field(default=5, ge=2)
    group_column: str | None = None
    control_label: str | None = None
    case_label: tuple[str, ...] = ()
    covariates: tuple[str, ...] | None = None
    compare_map: dict[str, str] = field(default_factory=dict)
    case_network: bool = False
    overwrite_harmonized: bool = False
    model_dir: str | None = None
    features: dict[FeatureArm, str] = field(default_factory=dict)
    feature_columns: tuple[str, ...] = ()
    atlas: str | None = None
    reference_card: tuple[str, ...] = ()
    export_card: bool = False
    card_noise: float = Field(default=0.0, ge=0, le=100)
    card_licence: str = Field(default="not stated", min_length=1)
    judge: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ResourceSettings:
    """What the run may use; ``None`` means what the machine has."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    devices: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    nprocs: int | None = Field(default=None, ge=1)
    omp_nthreads: int = Field(default=1, ge=1)
    mem_gb: float | None = Field(default=None, gt=0)
    low_mem: bool = False
    plugin_file: str | None = None


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class RunSettings:
    """How the run behaves."""

    work_dir: str | None = None
    resume: bool = True
    random_seed: int = Field(default=0, ge=0)
    stop_on_first_crash: bool = False
