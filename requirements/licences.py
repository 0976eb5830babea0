"""Write docs/licences.md: the licence of every pinned package, as its own metadata states it."""

import re
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "licences.md"
LISTS = ("torch.txt", "core.txt")

HEAD = """\
# Licences

bids-harmonize is Apache-2.0. These are the packages that it is installed with, as pinned in
`requirements/`, and what their own metadata say of their licences. `make licences` writes this
page, and a test compares it with what is installed.

No package is under the GPL or the AGPL. `frozendict` and `num2words` are under the LGPL: pybids
needs them, and they are used as they are, as modules of their own that can be replaced. Wheels
carry compiled libraries of others, among them GCC's Fortran and OpenMP runtimes (GPL with the
exception for runtime libraries); their licences lie in the `*.dist-info` folder of each package.

The container image also holds Debian packages (Python, the C library, a shell, ...), with their
licences in `/usr/share/doc/*/copyright`; some are under the GPL and run as programs of their own.
A CUDA image also holds NVIDIA's libraries, whose licence is NVIDIA's own. FSL, FreeSurfer and ANTs
are in neither: [other programs](containers.md#other-programs).

| package | version | licence |
|---|---|---|
"""


def pins() -> dict[str, str]:
    """Name to version of every package that the app is installed with."""
    text = "\n".join((HERE / name).read_text() for name in LISTS)
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, flags=re.MULTILINE))


def licence_of(stated: PackageMetadata) -> str:
    """The licence in few words: an SPDX expression, else a short text, else classifiers."""
    short = (stated.get("License") or "").strip()
    classifiers = [
        row.rpartition(" :: ")[2]
        for row in stated.get_all("Classifier") or []
        if row.startswith("License :: ")
    ]
    if stated.get("License-Expression"):
        return str(stated["License-Expression"])
    if short and "\n" not in short and len(short) < 60:
        return short
    return ", ".join(classifiers) or "not stated"


def page() -> str:
    """The document as the installed packages want it.

    Raises
    ------
    RuntimeError
        If a package is installed in another version than the pinned one.
    """
    rows = []
    for name, version in sorted(pins().items()):
        stated = metadata(name)
        if stated["Version"].partition("+")[0] != version:
            message = f"{name}: pinned {version}, installed {stated['Version']}: make install"
            raise RuntimeError(message)
        rows.append(f"| {name} | {version} | {licence_of(stated)} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    DOCUMENT.write_text(page())
