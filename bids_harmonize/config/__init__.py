"""Frozen settings of every part of the app, read from and written to TOML.

The command line and ``--config-file`` both end here, in :func:`make_settings`, which reports all
faults at once. The resolved settings are written beside every run's log and inside every model.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

import tomli_w
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from bids_harmonize.config.sections import (
    MEDIAN_REFERENCE,
    ClassifierSettings,
    FeatureArm,
    GroupSettings,
    PreprocessingSettings,
    ResourceSettings,
    RunSettings,
    SelectionSettings,
    SiteSettings,
)
from bids_harmonize.errors import UsageError

__all__ = [
    "MEDIAN_REFERENCE",
    "ClassifierSettings",
    "FeatureArm",
    "GroupSettings",
    "PreprocessingSettings",
    "ResourceSettings",
    "RunSettings",
    "SelectionSettings",
    "Settings",
    "SiteSettings",
    "describe_faults",
    "dump_toml",
    "make_settings",
    "parse_toml",
    "settings_hash",
]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"), kw_only=True)
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
