"""A stand-in for a study of which only the people count: two sites and what is known of them."""

from types import SimpleNamespace

import pandas as pd


def make_study(*, n_per_site=20, **columns):
    """Two sites of so many people each, all of whom train."""
    people = [f"sub-{number:03d}" for number in range(2 * n_per_site)]
    scans = [
        SimpleNamespace(participant_id=name, site="A" if place < n_per_site else "B")
        for place, name in enumerate(people)
    ]
    return SimpleNamespace(
        participants=pd.DataFrame(columns, index=pd.Index(people, name="participant_id")),
        usable_scans=lambda participants: [s for s in scans if s.participant_id in participants],
        trainees=frozenset(people),
        eligible=frozenset(people),
        held_back=frozenset(),
        control_group=None,
        left_out={},
    )
