"""The command ``bids-harmonize-phantom``."""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_harmonize._version import __version__
from bids_harmonize.errors import HarmonizeError
from bids_harmonize.phantom.disorder import ATROPHY_PATTERNS, DISORDERS, Disorder
from bids_harmonize.phantom.presets import PRESETS, Preset
from bids_harmonize.phantom.study import write_study


def main(argv: Sequence[str] | None = None) -> int:
    """Write a phantom study as the command line says.

    Parameters
    ----------
    argv
        Arguments; those of the process if not given.

    Returns
    -------
    int
        0, or the exit code of the error, which is told on standard error.
    """
    arguments = make_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.WARNING if arguments.quiet else logging.INFO, format="%(message)s"
    )
    if arguments.disorder is not None and arguments.cases == 0:
        sys.stderr.write("bids-harmonize-phantom: error: --disorder needs --cases N, N > 0\n")
        return 2

    try:
        truth = write_study(
            arguments.out,
            preset=arguments.preset,
            n_sites=arguments.sites,
            n_per_site=arguments.per_site,
            n_travelling=arguments.travelling,
            resolution_mm=arguments.resolution,
            seed=arguments.seed,
            n_cases=arguments.cases,
            disorder=arguments.disorder or "subtypes",
            severity=arguments.severity,
            age_shift_years=arguments.age_shift,
            noise_free=arguments.noise_free,
        )
    except HarmonizeError as error:
        sys.stderr.write(f"bids-harmonize-phantom: error: {error}\n")
        return error.exit_code
    sys.stdout.write(
        f"{len(truth.scans)} scans of {len(truth.people)} participants at "
        f"{len(truth.scanners)} sites in {truth.bids_dir}; truth in {truth.truth_dir}\n"
    )
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser, whose help lists every preset and pattern.

    Returns
    -------
    argparse.ArgumentParser
        Ready to parse.
    """
    parser = argparse.ArgumentParser(
        prog="bids-harmonize-phantom",
        description="Write a synthetic multi-site T1w study as a BIDS dataset, with the truth "
        "in OUT-truth beside it. The same options give the same bytes; more participants or "
        "sites leave the earlier ones as they are.",
        epilog=f"presets:\n{_list(PRESETS)}\n\ndisorders:\n{_list(DISORDERS)}\n\n"
        f"atrophy patterns:\n{_list_patterns()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the dataset to write")
    parser.add_argument(
        "--preset", default="default", choices=tuple(PRESETS), help="how scanners differ (below)"
    )
    parser.add_argument("--sites", type=int, default=2, metavar="N", help="sites (default 2)")
    parser.add_argument(
        "--per-site", type=int, default=12, metavar="N",
        help="healthy participants scanned at one site only, per site (default 12)",
    )  # fmt: skip
    parser.add_argument(
        "--travelling", type=int, default=4, metavar="N",
        help="healthy participants scanned twice at every site (default 4)",
    )  # fmt: skip
    parser.add_argument(
        "--resolution", type=float, default=4.0, metavar="MM", help="voxel size (default 4)"
    )
    parser.add_argument(
        "--cases", type=int, default=0, metavar="N",
        help="participants with the disorder per site, beside the healthy ones (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--disorder", choices=tuple(DISORDERS), help="what cases have (below; default subtypes)"
    )
    parser.add_argument(
        "--severity", type=float, default=1.0, metavar="X", help="strength of it (default 1)"
    )
    parser.add_argument(
        "--age-shift", type=float, default=0.0, metavar="YEARS",
        help="make age depend on site: each site older than the one before (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--noise-free", action="store_true", help="keep noise-free images in the truth"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    parser.add_argument("-q", "--quiet", action="store_true", help="no line per participant")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _list(rows: Mapping[str, Preset] | Mapping[str, Disorder]) -> str:
    return "\n".join(f"  {row.name:<16}{row.description}" for row in rows.values())


def _list_patterns() -> str:
    return "\n".join(
        f"  {pattern.name:<16}{', '.join(region.name for region in pattern.regions)}"
        for pattern in ATROPHY_PATTERNS
    )


if __name__ == "__main__":
    sys.exit(main())
