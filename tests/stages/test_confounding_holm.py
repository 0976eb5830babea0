"""Confounding of the site is judged by effect size and by p corrected for several variables."""

import numpy as np
import pytest

from bids_harmonize.stages.classification.columns import CONFOUNDING_COLUMNS
from bids_harmonize.stages.classification.confounding import confounding_rows, study_warnings
from tests.stages.people_study import make_study


def rows_of(**columns):
    return {row["variable"]: row for row in confounding_rows(make_study(**columns))}


# 14 of 20 against 7 of 20: p .027, V .31 after the correction for its bias.
UNEQUAL = ["f"] * 14 + ["m"] * 6 + ["f"] * 7 + ["m"] * 13
EVEN_AGES = [30.0, 40.0] * 20
EVEN_GROUPS = ["control", "patient"] * 20


def test_the_same_difference_warns_alone_and_not_among_three():
    alone = rows_of(sex=UNEQUAL)["sex"]
    assert alone["p"] == alone["p_holm"] == pytest.approx(0.0267, abs=1e-3)
    assert alone["value"] >= 0.3
    assert alone["warning"]
    among = rows_of(sex=UNEQUAL, age=EVEN_AGES, group=EVEN_GROUPS)
    assert among["sex"]["p"] == alone["p"]
    assert among["sex"]["p_holm"] == pytest.approx(3 * alone["p"])
    assert not among["sex"]["warning"]
    assert [among[name]["p_holm"] for name in ("age", "group")] == [1.0, 1.0]
    assert study_warnings(make_study(), [], list(among.values())) == ()


def test_a_variable_without_a_p_value_does_not_count():
    rows = rows_of(sex=UNEQUAL, group=["control"] * 40)
    assert np.isnan(rows["group"]["p_holm"])
    assert rows["sex"]["p_holm"] == rows["sex"]["p"]


def test_the_warning_names_the_corrected_p():
    rows = confounding_rows(make_study(sex=["f"] * 20 + ["m"] * 20, age=EVEN_AGES))
    (told,) = study_warnings(make_study(), [], rows)
    assert f"p {rows[1]['p_holm']:.1g} by Holm" in told
    assert set(rows[0]) == set(CONFOUNDING_COLUMNS)
