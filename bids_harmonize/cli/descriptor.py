"""The command line as a Boutiques descriptor, made from the rows that the parser is made of.

It is what platforms (CBRAIN, ``bosh``) and the BIDS execution specification (BEP 027) read to know
an app's inputs. Printed by ``--bids-exec-spec``.
"""

import json
import re
from typing import Any

from bids_harmonize import __version__
from bids_harmonize.cli.option import Option
from bids_harmonize.cli.options import GROUPS
from bids_harmonize.cli.outcome import EXIT_WORDS, SUCCESS

SCHEMA_VERSION = "0.5"
"""Of the Boutiques schema."""

_FIRST = ("participant_label", "session_label")
"""Boutiques wants these behind the level, before all others."""

_NUMBERS = {"N": True, "MM": False, "SIGMA": False}
"""Placeholder to whether it stands for a whole number."""

_FILES = ("DIR", "JSON", "NIFTI", "PATH", "TOML", "TSV", "YAML")

_LISTS = ("many", "paths", "pairs", "words", "labels")

Input = dict[str, Any]


def make_descriptor(levels: tuple[str, ...], description: str) -> dict[str, Any]:
    """The descriptor.

    Parameters
    ----------
    levels
        Analysis levels.
    description
        What the app does, one sentence.

    Returns
    -------
    dict
        Valid by version 0.5 of the Boutiques schema, as a BIDS App too.
    """
    options = {row["id"]: row for group in GROUPS.values() for o in group for row in _inputs(o)}
    options = {name: options[name] for name in sorted(options, key=_order)}
    keys = " ".join(row["value-key"] for row in options.values())
    return {
        "name": "bids-harmonize",
        "tool-version": __version__,
        "schema-version": SCHEMA_VERSION,
        "description": description,
        "command-line": (
            "mkdir -p [OUTPUT_DIR]; bids-harmonize [BIDS_DIR] [OUTPUT_DIR] [ANALYSIS_LEVEL] "
            f"{keys}"
        ),
        "container-image": {"type": "docker", "image": "bids-harmonize"},
        "inputs": [*_places(levels), *options.values()],
        "groups": _groups(),
        "output-files": [
            {
                "id": "derivative",
                "name": "Derivative dataset",
                "path-template": "[OUTPUT_DIR]",
            }
        ],
        "error-codes": [
            {"code": code, "description": words}
            for code, words in EXIT_WORDS.items()
            if code != SUCCESS
        ],
        "tags": {"domain": ["neuroinformatics", "mri", "bids"], "bids-app": True},
    }


def descriptor_text(levels: tuple[str, ...], description: str) -> str:
    """The descriptor as JSON, with a line break at its end."""
    return json.dumps(make_descriptor(levels, description), indent=2) + "\n"


def _places(levels: tuple[str, ...]) -> list[Input]:
    return [
        {
            "id": "bids_dir",
            "name": "bids_dir",
            "description": "raw BIDS dataset; '-' will do for the group level",
            "type": "File",
            "value-key": "[BIDS_DIR]",
        },
        {
            "id": "output_dir_name",
            "name": "output_dir",
            "description": "root of the derivative dataset, new",
            "type": "String",
            "optional": True,
            "value-key": "[OUTPUT_DIR]",
        },
        {
            "id": "output_dir",
            "name": "output_dir that exists",
            "description": "root of the derivative dataset, of an earlier run",
            "type": "File",
            "optional": True,
            "value-key": "[OUTPUT_DIR]",
        },
        {
            "id": "analysis_level",
            "name": "analysis_level",
            "description": "participant can run for any subset at once; group on what it wrote",
            "type": "String",
            "list": True,
            "min-list-entries": 1,
            "max-list-entries": len(levels),
            "value-choices": list(levels),
            "value-key": "[ANALYSIS_LEVEL]",
        },
    ]


def _groups() -> list[dict[str, Any]]:
    return [
        {
            "id": "places",
            "name": "Output directory",
            "members": ["output_dir_name", "output_dir"],
            "mutually-exclusive": True,
            "one-is-required": True,
        },
        {
            "id": "shared_labels",
            "name": "A label that two datasets share",
            "members": ["label_prefix", "same_participants"],
            "mutually-exclusive": True,
        },
    ]


def _inputs(option: Option) -> list[Input]:
    """One input an option, two for a switch."""
    flag = next(name for name in option.names if name.startswith("--"))
    rows = [_input(option, flag)]
    if option.kind == "switch":
        rows.append(_input(option, f"--no-{flag.removeprefix('--')}"))
    return rows


def _input(option: Option, flag: str) -> Input:
    name = flag.removeprefix("--").replace("-", "_")
    return {
        "id": name,
        "name": flag,
        "description": option.help,
        "command-line-flag": flag,
        "optional": True,
        "value-key": f"[{name.upper()}]",
        **_type(option),
    }


def _type(option: Option) -> Input:
    if option.kind in ("flag", "switch", "count"):
        return {"type": "Flag"}
    if option.kind == "three":
        entries = {"min-list-entries": 3, "max-list-entries": 3}
        return {"type": "Number", "integer": True, "list": True, **entries}
    several = {"list": True} if option.kind in _LISTS else {}
    if choices := choices_of(option):
        return {"type": "String", **several, "value-choices": list(choices)}
    if option.metavar in _NUMBERS:
        return {"type": "Number", **several, "integer": _NUMBERS[option.metavar]}
    return {"type": "File" if option.metavar in _FILES else "String", **several}


def choices_of(option: Option) -> tuple[str, ...]:
    """The words that an option takes; empty where others than the listed ones may stand."""
    match = re.fullmatch(r"\{([^}]*)\}", option.metavar)
    words = tuple(match[1].split(",")) if match else ()
    return () if any(re.search("[A-Z]", word) for word in words) else words


def _order(name: str) -> tuple[int, int]:
    return (0, _FIRST.index(name)) if name in _FIRST else (1, 0)
