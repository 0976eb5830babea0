"""The README's commands are ones that exist."""

import re
import shlex
from pathlib import Path

import pytest

from bids_harmonize.cli.parser import build_parser

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def commands(text: str) -> list[str]:
    """Lines of fenced blocks, continuation lines joined."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_the_app_in_the_documents_parses(document):
    parser = build_parser()
    for line in commands(document.read_text()):
        if line.startswith("bids-harmonize ") and "[" not in line:
            parser.parse_args(shlex.split(line)[1:])
        _, in_container, words = line.partition(" /data /out ")
        if in_container:
            parser.parse_args(["/data", "/out", *shlex.split(words)])


def test_every_make_target_of_the_readme_exists():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    used = re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text())
    assert "demo" in used
    assert set(used) <= set(targets)


def test_every_link_of_the_documents_leads_to_a_file():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
