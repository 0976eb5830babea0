"""The parser: knows words, not values; imports nothing heavy."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from bids_harmonize import __version__
from bids_harmonize.cli.descriptor import descriptor_text
from bids_harmonize.cli.option import Option
from bids_harmonize.cli.options import GROUPS
from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.errors import UsageError
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.stages import STAGES

LEVELS = ("participant", "group")

DESCRIPTION = "Take the imaging site out of multi-site T1w MRI and measure what is kept."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        text = f"{message}\n{self.format_usage()}see {self.prog} --help"
        raise UsageError(text)


class _PrintDescriptor(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        sys.stdout.write(descriptor_text(LEVELS, DESCRIPTION))
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``bids-harmonize``.

    Returns
    -------
    ArgumentParser
        It raises UsageError instead of leaving; options that are not given leave no trace.
    """
    parser = _Parser(
        prog="bids-harmonize",
        description=DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        usage="%(prog)s bids_dir output_dir {participant,group} [{participant,group}] [options]",
    )
    parser.add_argument("bids_dir", help="raw BIDS dataset; '-' will do for the group level")
    parser.add_argument("output_dir", help="root of the derivative dataset")
    parser.add_argument(
        "analysis_level",
        nargs="+",
        choices=LEVELS,
        help="participant can run for any subset at once; group runs on what participant wrote",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "--bids-exec-spec",
        action=_PrintDescriptor,
        nargs=0,
        help="print this command line as a Boutiques descriptor (JSON) and exit",
    )
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            group.add_argument(
                *option.names,
                dest=option.destination,
                help=option.help.replace("%", "%%"),
                **_behaviour(option),
            )
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The words of a command line.

    Parameters
    ----------
    argv
        Without the program's name; ``None`` means those of this process.

    Returns
    -------
    Namespace
        Only what was given.

    Raises
    ------
    UsageError
        If a word is unknown or missing.
    SystemExit
        After ``--help`` and ``--version``.
    """
    words = sys.argv[1:] if argv is None else argv
    return build_parser().parse_args([_with_dashes(word) for word in words])


def _with_dashes(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}" if name.startswith("--") else word


def _behaviour(option: Option) -> dict[str, Any]:
    if option.kind in ("many", "labels", "paths", "pairs", "words"):
        return {"nargs": "+", "action": "extend", "metavar": option.metavar}
    if option.kind == "three":
        return {"nargs": 3, "metavar": ("I", "J", "K")}
    if option.kind == "flag":
        return {"action": "store_true", "default": argparse.SUPPRESS}
    if option.kind == "switch":
        return {"action": argparse.BooleanOptionalAction}
    if option.kind == "count":
        return {"action": "count"}
    return {"metavar": option.metavar}


def _epilog() -> str:
    lines = ["stages of the group level:"]
    lines += [f"  {row.name:16}{row.description}" for row in STAGES.values()]
    lines += ["", "harmonizers:"]
    lines += [f"  {row.name:16}{row.description}" for row in HARMONIZERS.values()]
    lines += ["", "exit codes:"]
    lines += [f"  {code:<4}{words}" for code, words in EXIT_WORDS.items()]
    return "\n".join(lines)
