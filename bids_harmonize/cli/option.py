"""What one option of the command line is."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "one", "many", "paths", "pairs", "words", "three", "labels", "flag", "switch", "count"
]


@dataclass(frozen=True)
class Option:
    """One option.

    ``key`` is ``section.name`` of the setting, or a bare name for what is no setting. ``kind``
    is how many words follow: one; many (split at commas); paths (many, as they are); pairs (many,
    each NAME=PATH); words (many, each [NAME=]PATH); three; labels (many, without ``sub-`` and
    ``ses-``); flag (none); switch (none, with a ``--no-`` form); count (none, repeatable).
    """

    names: tuple[str, ...]
    key: str
    metavar: str
    help: str
    kind: Kind = "one"

    @property
    def destination(self) -> str:
        """Attribute of the parsed arguments."""
        return self.key.replace(".", "__")
