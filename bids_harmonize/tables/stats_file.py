"""The ``.stats`` files of FreeSurfer and FastSurfer."""

from collections.abc import Iterable, Sequence

from bids_harmonize.errors import ScanError

_REGION = "StructName"
_TOTAL = "EstimatedTotalIntraCranialVol"


def read_stats(content: bytes, wanted: Sequence[str]) -> tuple[dict[str, list[str]], str | None]:
    """The table in a ``.stats`` file.

    Parameters
    ----------
    content
        Of the file: ``#`` lines, among them ``# ColHeaders``, then one line a region.
    wanted
        Columns with numbers.

    Returns
    -------
    tuple
        Region to the wanted cells, and the estimated total intracranial volume (mm3) or ``None``.

    Raises
    ------
    ScanError
        If it is no such file, or is cut short.
    """
    lines = content.decode("utf-8", errors="replace").splitlines()
    header = [line.removeprefix("#").split() for line in lines if line.startswith("#")]
    columns = next((words[1:] for words in header if words[:1] == ["ColHeaders"]), [])
    missing = [name for name in (_REGION, *wanted) if name not in columns]
    if missing:
        message = f"has no column {', '.join(missing)} in a line '# ColHeaders'"
        raise ScanError(message)
    regions: dict[str, list[str]] = {}
    for line in lines:
        cells = line.split()
        if not cells or line.startswith("#"):
            continue
        if len(cells) != len(columns):
            message = f"is cut short or garbled: {line.strip()!r} should have {len(columns)} cells"
            raise ScanError(message)
        row = dict(zip(columns, cells, strict=True))
        if row[_REGION] in regions:
            message = f"has {row[_REGION]} twice"
            raise ScanError(message)
        regions[row[_REGION]] = [_number(row[name]) for name in wanted]
    n_rows = next((words[1] for words in header if words[:1] == ["NRows"] and words[1:]), None)
    if not regions or (n_rows is not None and n_rows != str(len(regions))):
        message = f"is cut short: {len(regions)} regions, expected {n_rows or 'some'}"
        raise ScanError(message)
    return regions, _total_volume(lines)


def _number(cell: str) -> str:
    try:
        float(cell)
    except ValueError:
        message = f"holds {cell!r} where a number should be"
        raise ScanError(message) from None
    return cell


def _total_volume(lines: Iterable[str]) -> str | None:
    """The number in ``# Measure EstimatedTotalIntraCranialVol, eTIV, words, number, mm^3``."""
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if cells[0].split() == ["#", "Measure", _TOTAL] and len(cells) > 3:
            return _number(cells[3])
    return None
