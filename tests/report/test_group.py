"""The group page as a whole."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from bids_harmonize.errors import MissingInputError
from bids_harmonize.report.group import write_group_page
from tests.report.group_fixture import REFERENCE, write_group, write_participants
from tests.report.site_fixture import write_tsv

VOID = {"meta", "img", "br", "input", "link", "hr"}


class _Tags(HTMLParser):
    """Collects tags, and what is open when the document ends."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what refers to something."""
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "src" in values:
            self.sources.append(str(values["src"]))
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.targets.append(str(values["href"]))

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output_dir = tmp_path_factory.mktemp("full")
    write_participants(output_dir)
    write_group(output_dir)
    return output_dir


@pytest.fixture(scope="module")
def full_page(full: Path) -> str:
    return write_group_page(full).read_text(encoding="utf-8")


def test_page_is_well_formed_and_needs_nothing_outside_itself(full_page: str) -> None:
    tags = _Tags()
    tags.feed(full_page)
    assert tags.open == []
    assert len(tags.sources) > 8
    assert all(source.startswith("data:image/") for source in tags.sources)
    assert all(target.removeprefix("#") in tags.ids for target in tags.targets)
    text = re.sub(r"data:image/[^\"]+", "", full_page)
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text


def test_page_escapes_names(full_page: str) -> None:
    assert "A &lt;small&gt; study" in full_page
    assert "<small>" not in full_page


def test_same_files_give_the_same_page(full: Path, full_page: str) -> None:
    assert write_group_page(full).read_text(encoding="utf-8") == full_page


def test_every_figure_says_how_to_read_it(full_page: str) -> None:
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", full_page, flags=re.S)
    assert len(captions) == full_page.count("<figure")
    assert all(len(caption.strip()) > 40 for caption in captions)


def test_page_never_says_that_the_site_was_removed(full_page: str) -> None:
    text = re.sub(r"<[^>]+>", " ", full_page).lower()
    assert "site removed" not in text
    assert "site effect was removed" not in text
    assert "site is gone" not in text


def test_numbers_on_the_page_are_those_of_the_tables(full: Path, full_page: str) -> None:
    table = pd.read_csv(full / "group_methods.tsv", sep="\t")
    row = table[
        (table["method"] == "cyclegan") & (table["source_site"] == "Site A")
        & (table["mask"] == "brain") & (table["metric"] == "psnr")
    ].iloc[0]  # fmt: skip
    assert f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})" in full_page


def test_participant_level_alone_gives_a_page_that_says_what_is_absent(tmp_path: Path) -> None:
    write_participants(tmp_path)
    page = write_group_page(tmp_path).read_text(encoding="utf-8")
    for words in (
        "the stage classify has not run",
        "the stage harmonize has not run",
        "no site probe was run",
        "no question was answered with a threshold",
        "No group result",
    ):
        assert words in page
    assert "dB" not in re.sub(r"data:image/[^\"]+", "", page)


def test_tables_without_a_readable_study_still_give_a_page(full: Path, tmp_path: Path) -> None:
    for path in full.glob("group_*.tsv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    page = write_group_page(tmp_path).read_text(encoding="utf-8")
    assert "no participant-level output" in page
    assert "Site accuracy and controls" in page


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="run that first"):
        write_group_page(tmp_path)
    assert not (tmp_path / "group.html").exists()


def test_one_source_site_keeps_the_primary_p_value(full: Path, tmp_path: Path) -> None:
    table = pd.read_csv(full / "group_methods.tsv", sep="\t")
    one = table[table["source_site"].isin(["Site A", "all"])]
    write_tsv(tmp_path / "group_methods.tsv", one.to_dict("records"))
    page = write_group_page(tmp_path).read_text(encoding="utf-8")
    assert f"Site A to {REFERENCE}: all methods, in the brain" in page
    assert "All source sites" not in page
    assert "0.031" in page
