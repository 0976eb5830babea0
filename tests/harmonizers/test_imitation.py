"""What a model card says of imitation: the measured figures of its method, and only those."""

from pathlib import Path

from bids_harmonize.harmonizers import HARMONIZERS, make_harmonizer
from bids_harmonize.harmonizers.base import FitReport
from bids_harmonize.harmonizers.imitation import IMITATIONS, Imitation, imitation_words
from bids_harmonize.harmonizers.model_card import make_card

DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
ROWS = (
    Imitation("cyclegan", "ventricles 25 % larger", 0.02, -0.01, 0.05, 6),
    Imitation("localhistogram", "10 % less grey matter", 0.3, 0.2, 0.4, 6),
)


def _card(name: str, **settings: object) -> str:
    harmonizer = make_harmonizer(
        name, reference_site="B", source_sites=("A",), voxel_size_mm=8.0, settings=settings
    )
    harmonizer.high = {"A": 1.0, "B": 300.0}
    return make_card(harmonizer, FitReport(), n_participants={"A": 4, "B": 5})


def test_a_method_gets_its_own_figures() -> None:
    assert imitation_words("cyclegan", ROWS) == (
        " On a phantom whose reference had people with ventricles 25 % larger, +0.02 of that "
        "(-0.01 to +0.05, 95 % interval, 6 people; 0: nothing, 1: all of it) was copied into "
        "others."
    )
    assert "10 % less grey matter, +0.30 of that" in imitation_words("localhistogram", ROWS)
    assert imitation_words("nyul", ROWS) == ""


def test_the_card_tells_what_was_measured_and_nothing_of_generators_that_were_not() -> None:
    for name in ("localhistogram", "cyclegan"):
        card = _card(name)
        assert f"stage ``evaluate``.{imitation_words(name)}\n" in card
    residual = _card("cyclegan", generator="residual")
    assert "stage ``evaluate``.\n" in residual


def test_every_figure_is_of_a_trained_method_and_stands_in_the_documentation() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for row in IMITATIONS:
        assert HARMONIZERS[row.method].trained
        assert row.low <= row.slope <= row.high
        assert f"{row.slope:+.2f} ({row.low:+.2f} to {row.high:+.2f})" in text
