"""From words to a checked request: command line over TOML over defaults, all faults at once."""

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from bids_harmonize.bids.raw_datasets import RawDataset, raw_datasets
from bids_harmonize.cli.card_checks import card_faults, default_harmonizer, with_card_site
from bids_harmonize.cli.dataset_checks import dataset_faults
from bids_harmonize.cli.group_checks import group_faults
from bids_harmonize.cli.model_options import take_from_model
from bids_harmonize.cli.options import GROUPS, SETTING_OPTIONS
from bids_harmonize.cli.parser import LEVELS
from bids_harmonize.cli.tools import missing_tools
from bids_harmonize.config import FeatureArm, Settings, make_settings, parse_toml
from bids_harmonize.errors import UsageError
from bids_harmonize.harmonizers import HARMONIZERS, check_harmonizer_settings

MIN_BARE_MB = 64
"""A bare number below this surely meant GB."""

_MEMORY = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>gb|g|mb|m|)", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """What the user wants, checked."""

    bids_dir: Path
    output_dir: Path
    levels: tuple[str, ...]
    settings: Settings
    dry_run: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    clean_workdir: bool = False
    wipe_database: bool = False
    verbose: int = 0
    site_map: Mapping[str, str] = field(default_factory=dict)

    @property
    def datasets(self) -> tuple[RawDataset, ...]:
        """The raw datasets, ``bids_dir`` first."""
        return raw_datasets(self.bids_dir, self.settings.selection)

    @property
    def work_dir(self) -> Path:
        """Where what lies between the steps is kept."""
        named = self.settings.run.work_dir
        return (Path(named) if named else self.output_dir / ".work").absolute()


def make_request(words: argparse.Namespace) -> Request:
    """What a command line asks for.

    Parameters
    ----------
    words
        From ``parse``.

    Returns
    -------
    Request
        Nothing of it has been done yet.

    Raises
    ------
    UsageError
        For everything that is wrong, in one message.
    UnusableDataError
        If rows of the site map disagree.
    """
    faults: list[str] = []
    values, source = _toml_values(words, faults)
    given = _given_values(words, faults)
    for section, entries in given.items():
        below = values.get(section)
        values[section] = {**(below if isinstance(below, Mapping) else {}), **entries}
    values = _named_features(values)
    faults += take_from_model(values, words.analysis_level)
    values = default_harmonizer(values)
    faults += _faults_between(values)
    if "participant" in words.analysis_level:
        if not {"dry_run", "reports_only", "boilerplate_only"} & set(vars(words)):
            faults += missing_tools(_section(values, "preprocessing"))
        faults += dataset_faults(
            _section(values, "selection"),
            bids_dir=Path(words.bids_dir),
            output_dir=Path(words.output_dir),
            words=vars(words),
        )
    try:
        settings = make_settings(values, source=source, options=SETTING_OPTIONS)
        faults += group_faults(settings, words.analysis_level)
        faults += card_faults(settings, words.analysis_level, _section(values, "harmonizer"))
    except UsageError as error:
        faults.append(str(error))
    if faults:
        raise UsageError("\n".join(faults))
    settings = with_card_site(settings)
    return Request(
        bids_dir=Path(words.bids_dir).absolute(),
        output_dir=Path(words.output_dir).absolute(),
        levels=tuple(level for level in LEVELS if level in words.analysis_level),
        settings=settings,
        dry_run="dry_run" in words,
        reports_only="reports_only" in words,
        boilerplate_only="boilerplate_only" in words,
        clean_workdir="clean_workdir" in words,
        wipe_database="bids_database_wipe" in words,
        verbose=getattr(words, "verbose", 0),
        site_map=_site_map(settings),
    )


def _toml_values(words: argparse.Namespace, faults: list[str]) -> tuple[dict[str, Any], str]:
    if "config_file" not in words:
        return {}, "command line"
    path = Path(words.config_file)
    try:
        return parse_toml(path.read_text("utf-8-sig"), source=str(path)), f"{path} + command line"
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"--config-file {path}: cannot be read: {error}")
    except UsageError as error:
        faults.append(f"--config-file {error}")
    return {}, "command line"


def _given_values(words: argparse.Namespace, faults: list[str]) -> dict[str, dict[str, Any]]:
    """Section to what the command line says about it."""
    given: dict[str, dict[str, Any]] = {}
    for option in (option for options in GROUPS.values() for option in options):
        if "." not in option.key or option.destination not in words:
            continue
        section, name = option.key.split(".")
        value = getattr(words, option.destination)
        if option.kind == "pairs":
            value = _pairs(value, option.names[0], faults)
        if option.kind == "words":
            value = _arms(value, option.names[0], faults)
        if option.kind in ("many", "labels"):
            value = [part for word in value for part in word.split(",") if part]
        if option.kind == "labels":
            value = [part.removeprefix("sub-").removeprefix("ses-") for part in value]
        given.setdefault(section, {})[name] = value
    if "mem" in words:
        given.setdefault("resources", {})["mem_gb"] = _gigabytes(words.mem, faults)
    if "bids_filter_file" in words:
        content = _read_filter(Path(words.bids_filter_file), faults)
        given.setdefault("selection", {})["bids_filter"] = content
    return given


def _pairs(words: list[str], option: str, faults: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            faults.append(f"{option} {word}: expected NAME=PATH, such as smriprep=/data/smriprep")
        elif pairs.setdefault(name, path) != path:
            faults.append(f"{option}: {name!r} names both {pairs[name]} and {path}")
    return pairs


def _arms(words: list[str], option: str, faults: list[str]) -> dict[str, str]:
    """Arm to path; a word without a known arm before its ``=`` is a path of the raw arm."""
    arms: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or (name not in get_args(FeatureArm) and Path(word).exists()):
            name, path = "raw", word
        if name not in get_args(FeatureArm) or not path:
            known = " or ".join(get_args(FeatureArm))
            faults.append(f"{option} {word}: expected PATH or ARM=PATH, where ARM is {known}")
        elif arms.setdefault(name, path) != path:
            faults.append(f"{option}: the arm {name} is both {arms[name]} and {path}; keep one")
    return arms


def _named_features(values: dict[str, Any]) -> dict[str, Any]:
    """Values in which ``--features NAME``, by a name of ``-d``, is that dataset's path."""
    named = _section(values, "selection").get("derivatives")
    group = _section(values, "group")
    features = group.get("features")
    if not isinstance(named, Mapping) or not isinstance(features, Mapping):
        return values
    paths = {arm: named.get(path, path) for arm, path in features.items()}
    return {**values, "group": {**group, "features": paths}}


def _gigabytes(text: str, faults: list[str]) -> float | None:
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        faults.append(f"--mem: found {text!r}; expected a size such as 16GB or 16000 (MB)")
        return None
    number, unit = float(match["number"]), match["unit"].lower()
    if unit.startswith("g"):
        return number
    if not unit and number < MIN_BARE_MB:
        faults.append(f"--mem {text}: a bare number is MB, and so few cannot do; meant {text}GB?")
        return None
    return number / 1000


def _read_filter(path: Path, faults: list[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        faults.append(f"--bids-filter-file {path}: not readable as JSON: {error}")
        return {}
    if not isinstance(content, dict) or not isinstance(content.get("t1w", {}), dict):
        faults.append(f'--bids-filter-file {path}: expected {{"t1w": {{entity: value}}}}')
        return {}
    return content


def _faults_between(values: Mapping[str, Any]) -> list[str]:
    """Faults that the type of one value does not show; what is no text is found elsewhere."""
    site = _section(values, "site")
    faults = _pattern_faults(site.get("site_from_session"), site.get("site_source", "auto"))
    faults += _harmonizer_faults(values)
    files = {
        "--site-map": site.get("site_map"),
        "--use-plugin": _section(values, "resources").get("plugin_file"),
    }
    resources = _section(values, "resources")
    if resources.get("low_mem") and resources.get("plugin_file") is not None:
        faults.append(
            "--low-mem goes ill with --use-plugin, whose file says how many processes run; keep "
            "one of them"
        )
    faults += [
        f"{option} {path}: no such file"
        for option, path in files.items()
        if isinstance(path, str) and not Path(path).is_file()
    ]
    return faults


def _harmonizer_faults(values: Mapping[str, Any]) -> list[str]:
    name = _section(values, "group").get("harmonizer", Settings().group.harmonizer)
    if name not in HARMONIZERS:
        return [f"--harmonizer {name!r} is unknown; available: {', '.join(HARMONIZERS)}"]
    faults = []
    own = dict(_section(values, "harmonizer"))
    if name != "cyclegan" and "generator" in own:
        kind = own.pop("generator")
        faults.append(
            f"--generator {kind} goes with --harmonizer cyclegan; {name} has no choice of "
            "generators: leave it out"
        )
    if own.get("generator") == "residual" and _section(values, "group").get("sub_boxes") == "on":
        faults.append(
            "--sub-boxes on goes ill with --generator residual, which changes whole volumes; "
            "leave one of them out"
        )
    if not own:  # defaults need no check, which would load the networks
        return faults
    try:
        check_harmonizer_settings(name, own)
    except UsageError as error:
        faults.append(str(error))
    return faults


def _pattern_faults(pattern: object, source: object) -> list[str]:
    if not isinstance(pattern, str):
        return []
    faults = []
    try:
        if "site" not in re.compile(pattern).groupindex:
            faults.append(f"--site-from-session {pattern!r}: no group (?P<site>...)")
    except re.error as error:
        faults.append(f"--site-from-session {pattern!r}: no regular expression: {error}")
    if source not in ("auto", "session-label"):
        faults.append(f"--site-from-session goes ill with --site-source {source}")
    return faults


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    return section if isinstance(section, Mapping) else {}


def _site_map(settings: Settings) -> dict[str, str]:
    if settings.site.site_map is None:
        return {}
    from bids_harmonize.cli.site_map import read_site_map

    return read_site_map(Path(settings.site.site_map))
