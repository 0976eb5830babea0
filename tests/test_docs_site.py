"""The built documentation: every link resolves, every page is reachable, nothing is fetched."""

import logging
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Fetches(HTMLParser):
    """Addresses that a browser loads to show a page; links to follow are none."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(FETCHED.get(tag, ""))
        if address and dict(attrs).get("rel") != "canonical":
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, built as strictly as by `make docs`; about 2 s."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make install-dev")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    logger = logging.getLogger("mkdocs")
    level = logger.level
    try:
        build(config)  # raises Abort for a dead link, an unknown anchor, a page in no navigation
    finally:
        logger.setLevel(level)
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.name for path in site.glob("*.html")}
    assert (site / "boutiques.json").is_file()
    assert not (site / "generate.py").exists()


def test_nothing_is_fetched_from_the_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 10
    loaded = {page: Fetches(page.read_text(encoding="utf-8")).found for page in pages}
    assert all(loaded.values())  # each has its style sheet
    outside = [(page.name, a) for page, all_ in loaded.items() for a in all_ if "//" in a]
    assert outside == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(\s*['\"]?|@import\s+['\"])(https?:)?//", text), sheet


def test_what_pages_load_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its addresses are those of a server's root
            continue
        for address in Fetches(page.read_text(encoding="utf-8")).found:
            assert (page.parent / address.partition("?")[0]).is_file(), f"{page.name}: {address}"


def test_outside_addresses_are_told_from_own_ones() -> None:
    text = '<link href="//fonts.example/a.css"><script src="a.js"></script><a href="http://b">'
    assert Fetches(text).found == ["//fonts.example/a.css", "a.js"]
