"""The documentation names everything that exists, and nothing of the sort that does not."""

import json
import re
import runpy
from pathlib import Path

import pytest

from bids_harmonize.bids.names import OUTPUTS
from bids_harmonize.cli.descriptor import descriptor_text
from bids_harmonize.cli.options import GROUPS
from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.cli.parser import DESCRIPTION, LEVELS
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.metrics import METRICS
from bids_harmonize.stages import STAGES

DOCS = Path(__file__).parents[1] / "docs"
ENGINES = {"containers.md", "getting_started.md"}
"""Pages that name options of Docker and Apptainer too."""
PAGES = [
    page for page in (*DOCS.glob("*.md"), DOCS.parent / "README.md") if page.name not in ENGINES
]
OPTIONS = {name for rows in GROUPS.values() for row in rows for name in row.names}
BESIDE = {"--version", "--help", "--bids-exec-spec", "--no-resume", "--no-tissue", "--preset"}


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_page_of_options_and_the_descriptor_are_those_of_the_parser() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    again = "run `make docs-generated`"
    assert read("options.md") == generate["options_page"](), again
    assert read("boutiques.json") == descriptor_text(LEVELS, DESCRIPTION), again
    assert set(generate["SEE"]) <= OPTIONS


def test_the_page_of_options_names_every_option() -> None:
    text = read("options.md")
    assert {name for name in OPTIONS if f"`{name}" not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_page_names_an_option_that_does_not_exist(page: Path) -> None:
    spans = re.findall(r"`(--[a-z][a-z-]*[a-z])(?![a-z*-])", page.read_text(encoding="utf-8"))
    assert set(spans) - OPTIONS - BESIDE == set()


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
