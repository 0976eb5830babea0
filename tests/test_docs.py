"""The documentation names everything that exists, and nothing of the sort that does not."""

import json
import re
from pathlib import Path

import pytest

from bids_harmonize.bids.names import OUTPUTS
from bids_harmonize.cli.options import GROUPS
from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.metrics import METRICS
from bids_harmonize.stages import STAGES

DOCS = Path(__file__).parents[1] / "docs"


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_usage_names_every_option_and_no_other() -> None:
    text = read("usage.md")
    options = {name for rows in GROUPS.values() for row in rows for name in row.names}
    assert {name for name in options if f"`{name}" not in text} == set()
    tables = "\n".join(line for line in text.splitlines() if line.startswith("| `-"))
    named = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", tables))
    extra = {"--version", "--help", "--no-resume", "--no-tissue", "-vv"}
    assert named - options - extra == set()


def test_usage_names_every_exit_code_and_stage() -> None:
    text = read("usage.md")
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.M)}
    assert codes == set(EXIT_WORDS)
    assert all(f"`{stage}`" in text for stage in STAGES)


def test_outputs_names_every_file() -> None:
    text = read("outputs.md")
    missing = [
        row.pattern
        for row in OUTPUTS.values()
        if row.pattern.format(reference="<Reference>") not in text
    ]
    assert missing == []


@pytest.mark.parametrize("table", [METRICS, HARMONIZERS, QUALITY_MEASURES])
def test_methods_names_every_row(table: dict[str, object]) -> None:
    text = read("methods.md")
    assert [name for name in table if f"`{name}`" not in text] == []


def test_filter_file_of_the_docs_is_json() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", read("chaining.md"), flags=re.S)
    assert json.loads(block) == {"t1w": {"desc": "harmonizedSiteB"}}


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+\.md)", page.read_text(encoding="utf-8")):
            assert (DOCS / target).is_file()
