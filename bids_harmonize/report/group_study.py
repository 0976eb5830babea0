"""Section "Study" of the group page."""

import pandas as pd

from bids_harmonize.report.group_blocks import Block, Cell, Paragraph, Section, make_table
from bids_harmonize.report.group_disorderarms import site_counts
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_reference import reference_sentence
from bids_harmonize.report.group_words import count, listing, sentence


def study_section(inputs: GroupInputs) -> Section:
    """Who took part: sites, participants, scans, travelling subjects, the reference.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        With the reason in words where the study cannot be read.
    """
    blocks: list[Block] = []
    scans = inputs.scans
    if inputs.from_features:
        return Section("study", "Study", tuple(_feature_blocks(inputs)))
    if scans.empty:
        text = "There is no participant-level output in this folder, so nobody can be listed."
        return Section("study", "Study", (Paragraph(text, "absent"),))
    blocks.append(Paragraph(_study_words(inputs)))
    blocks.append(_site_table(inputs))
    if inputs.study is None:
        blocks.append(
            Paragraph(
                f"Which sites were trained on cannot be told: {inputs.study_problem}", "absent"
            )
        )
    return Section("study", "Study", tuple(blocks))


def _feature_blocks(inputs: GroupInputs) -> list[Block]:
    """Who stands in the feature table, as far as the predictions tell."""
    text = "This output was made from a table of features. There are no scans here."
    table, compared = inputs.tables.get("sitepredictions"), site_counts(inputs)
    if table is None and compared is not None:
        return [Paragraph(text), _compared_table(compared)]
    searched = inputs.tables.get("subtypes")
    if table is None and searched is not None and {"site", "participant_id"} <= set(searched):
        return [Paragraph(text), _searched_table(searched)]
    if table is None or "site" not in table or "participant_id" not in table:
        return [Paragraph(f"{text} Who stands in it cannot be listed.", "absent")]
    own = table.dropna(subset=["site"])
    rows: list[list[str | Cell]] = [
        [Cell(str(site), "strong"), str(people["participant_id"].nunique())]
        for site, people in own.groupby(own["site"].astype(str))
    ]
    total = count(own["participant_id"].nunique(), "participant")
    return [
        Paragraph(f"{text} It holds {total} of {count(len(rows), 'site')}."),
        make_table("Sites", {"site": False, "participants": True}, rows),
    ]


def _compared_table(counts: pd.DataFrame) -> Block:
    rows: list[list[str | Cell]] = [
        [Cell(str(site), "strong"), f"{own['n_cases']:.0f}", f"{own['n_controls']:.0f}"]
        for site, own in counts.iterrows()
    ]
    return make_table(
        "Sites",
        {"site": False, "cases": True, "controls": True},
        rows,
        reading="Sites with enough cases and controls for a comparison of their own.",
    )


def _searched_table(people: pd.DataFrame) -> Block:
    own = people.dropna(subset=["site"]).drop_duplicates("participant_id")
    rows: list[list[str | Cell]] = [
        [Cell(str(site), "strong"), str(len(cases))]
        for site, cases in own.groupby(own["site"].astype(str))
    ]
    return make_table(
        "Sites",
        {"site": False, "cases": True},
        rows,
        reading="Cases among whom kinds were looked for; controls are not listed.",
    )


def _study_words(inputs: GroupInputs) -> str:
    scans, study = inputs.scans, inputs.study
    people = scans["participant_id"].nunique()
    text = f"{count(len(scans), 'scan')} of {count(people, 'participant')}"
    if study is None:
        return f"{text} at {count(scans['site'].dropna().nunique(), 'site')}."
    sizes = " x ".join(str(n) for n in study.grid_shape)
    text += (
        f" on a grid of {sizes} voxels of {study.voxel_size_mm:g} mm. Reference site: "
        f"{study.reference_site}. "
    )
    if study.outside_reference:
        text += f"{reference_sentence(inputs)} "
    if study.travelling:
        travellers = count(len(study.travelling), "participant was", "participants were")
        text += (
            f"{travellers} scanned at two or more trained sites (travelling subjects): never "
            "trained on, kept for the proof. "
        )
    else:
        text += "Nobody was scanned at two trained sites, so there are no travelling subjects. "
    if study.control_group is not None:
        text += f"{sentence(study.control_group.words)} {sentence(study.fit_words)} "
    if study.left_out:
        text += f"Left out of training: {listing(study.left_out)}."
    return text.strip()


def _site_table(inputs: GroupInputs) -> Block:
    scans, study = inputs.scans, inputs.study
    rows: list[list[str | Cell]] = []
    site_names = scans["site"].fillna("n/a").astype(str)
    for site in sorted(site_names.unique()):
        own = scans[site_names == site]
        people = set(own["participant_id"])
        role = Cell("unknown", "muted")
        travellers, eligible, trainees = "n/a", "n/a", "n/a"
        if study is not None:
            role = _role(site, inputs)
            travellers = str(len(people & study.travelling))
            eligible = str(len(people & study.eligible))
            trainees = str(len(people & study.trainees))
        rows.append(
            [
                Cell(site, "strong"),
                role,
                str(len(people)),
                eligible,
                trainees,
                travellers,
                str(len(own)),
                str(int(own["doubtful"].sum())),
            ]
        )
    return make_table(
        "Sites",
        {
            "site": False, "role": False, "participants": True, "eligible": True,
            "trained on": True, "travelling": True, "scans": True, "doubtful masks": True,
        },
        rows,
        reading="Eligible: scanned at this site only, with a usable scan. Trained on: all of "
        "these, or with --group-column the controls among them. A travelling subject counts at "
        "every site that scanned them.",
    )  # fmt: skip


def _role(site: str, inputs: GroupInputs) -> Cell:
    study = inputs.study
    if study is None:
        return Cell("unknown", "muted")
    if site == study.reference_site:
        return Cell("reference", "good")
    if site in study.trained_sites:
        return Cell("source")
    return Cell(f"left out: {study.left_out.get(site, 'not trained')}", "bad")
