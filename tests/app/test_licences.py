"""What the app is installed with may be used and passed on by everybody."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY_GPL = {"frozendict", "num2words"}
"""Under the LGPL: pybids needs both."""


def licences() -> dict[str, str]:
    text = (ROOT / "docs/licences.md").read_text()
    rows = re.findall(r"^\| (\S+) \| \S+ \| (.+) \|$", text, flags=re.MULTILINE)
    return {name: words for name, words in rows if name not in ("package", "---")}


def test_the_list_of_licences_is_what_the_installed_packages_say():
    page = runpy.run_path(str(ROOT / "requirements/licences.py"))["page"]
    assert (ROOT / "docs/licences.md").read_text() == page(), "run: make licences"


def test_every_pinned_package_is_in_it_with_a_licence():
    pins = runpy.run_path(str(ROOT / "requirements/licences.py"))["pins"]
    assert set(licences()) == set(pins())
    assert "torch" in licences()
    assert "not stated" not in licences().values()


def test_nothing_is_under_the_gpl_and_the_lgpl_is_known_by_name():
    strong = re.compile(
        r"(?<!L)GPL|(?<!Lesser )General Public|Affero|Non-?Commercial|CC-BY-NC", re.I
    )
    weak = re.compile(r"LGPL|Lesser General Public", re.I)
    assert {name for name, words in licences().items() if strong.search(words)} == set()
    assert {name for name, words in licences().items() if weak.search(words)} == LIBRARY_GPL
