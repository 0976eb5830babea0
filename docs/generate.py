"""Write what the documentation takes from the parser: ``options.md`` and ``boutiques.json``.

Run by ``make docs-generated``; a test holds the files and the parser equal.
"""

import re
from pathlib import Path

from bids_harmonize.cli.descriptor import descriptor_text
from bids_harmonize.cli.option import Option
from bids_harmonize.cli.options import GROUPS
from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.cli.parser import DESCRIPTION, LEVELS
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.stages import STAGES

HERE = Path(__file__).parent

SEE = {
    "--dataset": "usage.md#several-datasets",
    "--bids-database-dir": "usage.md#an-index-on-disk",
    "--derivatives": "usage.md#brain-masks",
    "--site-source": "usage.md#site-of-a-scan",
    "--reference-site": "usage.md#the-median-of-all-sites-as-reference",
    "--brain-mask": "usage.md#brain-masks",
    "--harmonizer": "methods.md#harmonizers",
    "--generator": "methods.md#harmonizers",
    "--sub-boxes": "methods.md#training-at-the-studys-voxel-size",
    "--sources": "usage.md#one-model-for-many-sites",
    "--stages": "usage.md#group-level",
    "--group-column": "usage.md#patients-and-controls",
    "--case-label": "usage.md#cases-against-controls",
    "--covariates": "usage.md#cases-against-controls",
    "--compare-map": "usage.md#cases-against-controls",
    "--model-dir": "usage.md#a-trained-harmonizer-on-new-scans",
    "--features": "usage.md#tables-of-features",
    "--atlas": "usage.md#regions-of-your-own-atlas",
    "--judge": "usage.md#images-of-another-tool",
    "--export-card": "reference_card.md#making-a-card",
    "--reference-card": "reference_card.md#using-a-card",
    "--use-plugin": "usage.md#many-jobs-at-once",
}
"""Option to where the documentation says more."""

_HEAD = """\
# Options

<!-- Written by docs/generate.py from the parser; do not edit. -->

```
bids-harmonize bids_dir output_dir {participant,group} [{participant,group}] [options]
```

`-` and `_` are the same in option names. Labels stand with or without `sub-` and `ses-`, separated
by space or comma. The command line overrides `--config-file`, in which the key of an option stands
in the section before the dot. `--help`, `--version` and `--bids-exec-spec` (this command line as a
[Boutiques descriptor](boutiques.json)) print and stop.
"""


def options_page() -> str:
    """The page of all options, in Markdown."""
    parts = [_HEAD]
    for title, options in GROUPS.items():
        parts.append(f"## {title.capitalize()}\n")
        parts.append("| option | meaning | default | key |\n|---|---|---|---|")
        parts.append("\n".join(_row(option) for option in options) + "\n")
    parts.append("## Stages of the group level\n\n| stage | what it does |\n|---|---|")
    parts.append("\n".join(f"| `{s.name}` | {_cell(s.description)} |" for s in STAGES.values()))
    parts.append("\n## Names of harmonizers\n\n| name | what it does |\n|---|---|")
    rows = (f"| `{h.name}` | {_cell(h.description)} |" for h in HARMONIZERS.values())
    parts.append("\n".join(rows))
    parts.append("\n## Codes\n\n| code | meaning |\n|---|---|")
    parts.append("\n".join(f"| {code} | {_cell(words)} |" for code, words in EXIT_WORDS.items()))
    parts.append("\nMore on them in [usage](usage.md#exit-codes).\n")
    return "\n".join(parts)


def _row(option: Option) -> str:
    first, *others = sorted(option.names, key=lambda name: name.startswith("--"), reverse=True)
    others += [f"--no-{first.removeprefix('--')}"] if option.kind == "switch" else []
    metavar = {"three": " I J K"}.get(option.kind, f" {option.metavar}" if option.metavar else "")
    several = " ..." if option.kind in ("many", "labels", "paths", "pairs", "words") else ""
    names = ", ".join([f"`{first}{metavar}{several}`", *(f"`{name}`" for name in others)])
    meaning, default = _split_default(option.help)
    if first in SEE:
        meaning += f"; see [more]({SEE[first]})"
    key = f"`{option.key}`" if "." in option.key else ""
    return f"| {names.replace('|', chr(92) + '|')} | {meaning} | {default} | {key} |"


def _split_default(text: str) -> tuple[str, str]:
    """Meaning and default of a help text that ends in ``(default: ...)``, as cells."""
    match = re.fullmatch(r"(.*?) ?\(default: (.*)\)(.*)", text)
    if match is None:
        return _cell(text), ""
    meaning, default, rest = match.groups()
    return _cell(f"{meaning}{rest}"), _cell(default)


def _cell(text: str) -> str:
    """Text for a cell of a table: options, files and placeholders as code."""
    text = text.replace("|", "\\|")
    return re.sub(
        r"(?<![\w`'-])(--?[a-z][a-z-]+|\{\"t1w\".*?\}\}|'[^']+'|sub-<\w+><\w+>"
        r"|[\w/<>]+\.(?:tsv|json|md)|(?:models|logs)/[\w<>./]*|OUTPUT_DIR[/.\w]*"
        r"|judge:NAME|PATH/[\w*\[\]/.-]+)",
        r"`\1`",
        text,
    )


def main() -> None:
    """Write the files."""
    (HERE / "options.md").write_text(options_page(), encoding="utf-8")
    (HERE / "boutiques.json").write_text(descriptor_text(LEVELS, DESCRIPTION), encoding="utf-8")


if __name__ == "__main__":
    main()
