"""Frozen settings of every part of the app, read from and written to TOML.

The command line and ``--config-file`` both end here, in :func:`make_settings`, which reports all
faults at once. The resolved settings are written beside every run's log and inside every model.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Annotated, Any, Final, Literal, LiteralString

import tomli_w
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from bids_harmonize.errors import UsageError

_STRICT = ConfigDict(extra="forbid")

SiteSource = Literal["auto", "participants", "sessions", "scans", "session-label", "metadata"]
StageName = Literal["classify", "harmonize", "features", "evaluate"]
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
    effort: Effort = "full"
    folds: int = Field(default=5, ge=2)
    group_column: str | None = None
    control_label: str | None = None
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
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    nprocs: int | None = Field(default=None, ge=1)
    omp_nthreads: int = Field(default=1, ge=1)
    mem_gb: float | None = Field(default=None, gt=0)
    plugin_file: str | None = None


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class RunSettings:
    """How the run behaves."""

    work_dir: str | None = None
    resume: bool = True
    random_seed: int = Field(default=0, ge=0)
    stop_on_first_crash: bool = False


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Settings:
    """All settings of a run; ``harmonizer`` is checked by the harmonizer's own ``Settings``."""

    selection: SelectionSettings = field(default_factory=SelectionSettings)
    site: SiteSettings = field(default_factory=SiteSettings)
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    group: GroupSettings = field(default_factory=GroupSettings)
    harmonizer: dict[str, Any] = field(default_factory=dict)
    resources: ResourceSettings = field(default_factory=ResourceSettings)
    run: RunSettings = field(default_factory=RunSettings)


def make_settings(
    values: Mapping[str, Any], *, source: str, options: Mapping[str, str] | None = None
) -> Settings:
    """Settings from a nested mapping.

    Parameters
    ----------
    values
        Section name to a mapping of key to value; missing keys take their default.
    source
        Where the values come from; stands in the error message.
    options
        Key (``section.name``) to the command line's option for it, named beside the key.

    Returns
    -------
    Settings
        The complete, frozen settings.

    Raises
    ------
    UsageError
        For unknown keys and values out of range; all of them in one message.
    """
    try:
        return TypeAdapter(Settings).validate_python(dict(values))
    except ValidationError as error:
        raise UsageError(describe_faults(error, source=source, options=options)) from None


def describe_faults(
    error: ValidationError, *, source: str, options: Mapping[str, str] | None = None
) -> str:
    """One message that lists every fault of a failed validation.

    Parameters
    ----------
    error
        What pydantic raised.
    source
        Where the values come from.
    options
        Key to the command line's option for it.

    Returns
    -------
    str
        A head line and one line a fault, with the key, what was found and what was expected.
    """
    lines = [f"{source}: {error.error_count()} setting(s) cannot be used:"]
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        option = (options or {}).get(".".join(str(part) for part in fault["loc"][:2]))
        key = f"{option} ({key})" if option else key or "settings"
        if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            lines.append(f"  {key}: unknown setting")
        else:
            lines.append(f"  {key}: found {fault['input']!r}; {fault['msg']}")
    return "\n".join(lines)


def parse_toml(text: str, *, source: str) -> dict[str, Any]:
    """The nested mapping in a TOML text.

    Parameters
    ----------
    text
        The file's content.
    source
        The file's name, for the error message.

    Returns
    -------
    dict
        Sections and keys as written; nothing is checked yet.

    Raises
    ------
    UsageError
        If the text is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{source}: not a TOML file: {error}"
        raise UsageError(message) from None


def dump_toml(settings: Settings) -> str:
    """The settings as TOML text, which :func:`parse_toml` reads back to equal settings.

    Parameters
    ----------
    settings
        What to write; entries that are ``None`` are left out.

    Returns
    -------
    str
        TOML, one table a section.
    """
    return tomli_w.dumps(_without_none(asdict(settings)))


def settings_hash(*parts: Any) -> str:
    """Sixteen hexadecimal digits that change when any of the parts changes.

    Parameters
    ----------
    *parts
        Settings sections, mappings or plain values.

    Returns
    -------
    str
        The start of a SHA-256 over a canonical JSON text.

    Examples
    --------
    >>> settings_hash({"a": 1}) == settings_hash({"a": 1})
    True
    """
    plain = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in parts]
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value
