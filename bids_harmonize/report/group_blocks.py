"""What a page is made of: plain records that the template prints, one kind of block at a time.

The builders of the sections return these records, the template knows nothing of tables or studies.
All text is escaped when it is printed; pictures come as data URIs, so no record carries markup.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Level = Literal["bad", "caution", "note", "good"]
Tone = Literal["", "good", "bad", "muted", "strong"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, and the tone that it is printed in."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """Head of a table column; numeric columns are aligned to the right."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``kind`` is ``text``, ``lead`` or ``absent`` (why something is not there)."""

    block: ClassVar[str] = "paragraph"
    text: str
    kind: Literal["text", "lead", "absent"] = "text"


@dataclass(frozen=True)
class Finding:
    """One line of the headline: how bad it is, what was found, and what to do about it."""

    level: Level
    title: str
    text: str


@dataclass(frozen=True)
class Findings:
    """The list of findings, worst first."""

    block: ClassVar[str] = "findings"
    rows: tuple[Finding, ...]


@dataclass(frozen=True)
class Table:
    """A table with the sentence that says how to read it."""

    block: ClassVar[str] = "table"
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    reading: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI, and how to read it.

    ``size`` is ``wide`` (scrolls on a phone), ``narrow``, or empty for the page's width.
    """

    block: ClassVar[str] = "figure"
    title: str
    source: str
    alt: str
    reading: str
    size: Literal["wide", "narrow", ""] = ""


@dataclass(frozen=True)
class Reference:
    """An entry of the reference list."""

    text: str
    doi: str | None = None


@dataclass(frozen=True)
class References:
    """The reference list."""

    block: ClassVar[str] = "references"
    rows: tuple[Reference, ...]


@dataclass(frozen=True)
class Fold:
    """Blocks that start closed behind one line, for what is long and seldom read whole."""

    block: ClassVar[str] = "fold"
    title: str
    blocks: tuple["Block", ...]


Block = Paragraph | Findings | Table | Figure | References | Fold


@dataclass(frozen=True)
class Section:
    """A part of the page with its anchor and title."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def make_table(
    title: str,
    columns: dict[str, bool],
    rows: Iterable[Sequence[str | Cell]],
    *,
    reading: str = "",
    folded: bool = False,
) -> Table:
    """A table from plain text or cells.

    Parameters
    ----------
    title
        What the table shows.
    columns
        Column name to whether it holds numbers.
    rows
        One list a row, as long as ``columns``.
    reading
        How to read it, one or two sentences.
    folded
        Whether the table starts closed.

    Returns
    -------
    Table
        The record for the template.
    """
    return Table(
        title=title,
        columns=tuple(Column(name, numeric) for name, numeric in columns.items()),
        rows=tuple(
            tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows
        ),
        reading=reading,
        folded=folded,
    )
