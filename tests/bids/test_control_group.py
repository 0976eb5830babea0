"""Who is a control, by which column and word, and on whom models are fitted."""

import pandas as pd
import pytest

from bids_harmonize.bids.control_group import (
    find_control_group,
    group_candidates,
    trainees_of,
)
from bids_harmonize.errors import UsageError


def people(words, *, column="Group"):
    names = [f"sub-{number}" for number in range(len(words))]
    frame = pd.DataFrame({"age": "30", column: words}, index=names, dtype=object)
    return frame.rename_axis("participant_id")


def find(words, *, column="group", label=None):
    return find_control_group(
        people(words), column=column, label=label, source="out/participants.tsv"
    )


@pytest.mark.parametrize(
    "word", ["control", "Controls", "HC", "CN", "healthy_control", "Healthy-Controls", "TD"]
)
def test_the_fields_own_words_for_controls_need_no_label(word):
    found = find([word, "SZ", word, "SZ", "BD", None])
    assert (found.column, found.label) == ("Group", word)
    assert found.controls == {"sub-0", "sub-2"}
    assert found.counts == {word: 2, "SZ": 2, "BD": 1, "n/a": 1}
    assert found.words == f"column Group: controls are 2 {word}; others: 1 BD, 2 SZ, 1 n/a"


def test_any_word_can_be_named_in_any_case_and_the_exact_one_wins():
    assert find(["1", "2", "2"], label="2").controls == {"sub-1", "sub-2"}
    assert find(["Ref", "pat"], label="ref").label == "Ref"
    assert find(["x", "X", "y"], label="X").controls == {"sub-1"}


def test_without_a_column_nobody_is_a_control():
    assert find(["HC", "SZ"], column=None) is None


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        (["HC"], {"column": "dx"}, ["--group-column dx", "out/participants.tsv", "age, Group"]),
        (["1", "2", "2"], {}, ["no word in it is known to mean controls", "1 (1), 2 (2)"]),
        (["HC", "CN", "SZ"], {}, ["several words in it mean controls: CN, HC", "--control-label"]),
        (["HC", "SZ"], {"label": "well"}, ["--control-label well", "HC (1), SZ (1)"]),
        ([None, None], {}, ["no word in it", "out/participants.tsv has none"]),
    ],
)
def test_what_cannot_be_told_is_said_with_what_is_there(words, options, told):
    with pytest.raises(UsageError) as error:
        find(words, **options)
    for word in told:
        assert word in str(error.value)


def test_columns_that_look_like_a_group_are_candidates_if_they_tell_people_apart():
    frame = people(["HC", "SZ", "SZ"]).assign(dx="all the same", other=["1", "2", "3"])
    assert group_candidates(frame, ("group", "dx")) == {"Group": ("HC", "SZ")}


VISITS = {
    **{f"a{n}": {"A"} for n in range(6)},
    **{f"b{n}": {"B"} for n in range(6)},
}


def test_models_are_fitted_on_controls_where_every_site_has_enough():
    controls = {*(f"a{n}" for n in range(4)), *(f"b{n}" for n in range(3)), "stranger"}
    chosen, reason = trainees_of(VISITS, controls=controls, trained_sites="AB", least=3)
    assert chosen == controls - {"stranger"}
    assert reason == ""


def test_one_site_with_too_few_controls_makes_everybody_train_and_it_is_said():
    controls = {*(f"a{n}" for n in range(4)), "b1", "b2"}
    chosen, reason = trainees_of(VISITS, controls=controls, trained_sites="AB", least=3)
    assert chosen == set(VISITS)
    assert "all 12 eligible participants" in reason
    assert "3 controls a site are needed (--min-per-site) and B has 2" in reason
    assert "A has" not in reason


def test_without_a_group_column_everybody_trains_and_nothing_is_said():
    assert trainees_of(VISITS, controls=None, trained_sites="AB", least=5) == (set(VISITS), "")
