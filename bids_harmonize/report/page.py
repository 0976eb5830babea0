"""One template environment and one way to write a page, shared by every page of the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bids_harmonize._version import __version__
from bids_harmonize.bids.files import write_text


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """A self-contained HTML page.

    Parameters
    ----------
    template
        File name inside ``bids_harmonize/report/templates``.
    context
        What the template shows. Every text is escaped; a name the template uses and the context
        lacks is an error.

    Returns
    -------
    str
        HTML without a single reference to anything outside itself.
    """
    return _environment().get_template(template).render(version=__version__, **context)


def write_page(path: Path, html: str) -> Path:
    """The path of the page, after it was replaced in one go.

    Parameters
    ----------
    path
        Where the page belongs.
    html
        The whole page.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    write_text(path, html)
    return path


def format_number(value: Any, *, digits: int = 3) -> str:
    """A number as people read it: three significant digits, ``n/a`` for what is not known.

    Parameters
    ----------
    value
        A number, a text, ``None`` or NaN.
    digits
        Significant digits.

    Returns
    -------
    str
        Texts come back unchanged.

    Examples
    --------
    >>> format_number(0.123456), format_number(1423.7), format_number(float("nan"))
    ('0.123', '1424', 'n/a')
    """
    if value is None or value != value:
        return "n/a"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    number = float(value)
    if number and abs(number) >= 10**digits:
        return f"{number:.0f}"
    return f"{number:.{digits}g}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bids_harmonize.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = format_number
    return environment
