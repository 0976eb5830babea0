"""Sections "Study" and "Image quality" of the group page."""

import pandas as pd

from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, Section, make_table
from bids_harmonize.report.group_figures import draw_strips
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import count, is_number, listing, significant

_OUTLIER = 3.5
_MIN_FOR_OUTLIERS = 5
_MAD_TO_SD = 1.4826
_ACRONYMS = frozenset({"snr", "cnr", "cjv", "efc", "fber", "fwhm", "inu"})
_PANELS = ("snr", "cnr", "cjv", "efc", "fber", "fwhm_mm", "inu_range", "brain_volume_l")


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


def quality_section(inputs: GroupInputs) -> Section:
    """Quality measures by site, and the scans that stand apart from their own site.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        A figure, a table of medians and a table of outliers.
    """
    frame = inputs.scans
    measures = [name for name in QUALITY_MEASURES if name in frame and _varies(frame[name]) > 0]
    if frame.empty or not measures or "site" not in frame:
        text = "The scans tables hold no quality measures, so none are shown."
        return Section("quality", "Image quality", (Paragraph(text, "absent"),))
    panels = [(name, _title(name)) for name in _PANELS if name in measures]
    blocks: list[Block] = [
        Paragraph(
            "Measured on the preprocessed images, before harmonization. A difference between "
            "sites here is part of the site effect."
        )
    ]
    if panels:
        blocks.append(
            Figure(
                title="Quality measures, every scan a dot",
                source=draw_strips(frame, panels),
                alt="Dots for every scan, one panel a quality measure, sites side by side.",
                reading="Each panel is one measure, each dot one scan, each bar a site's median. "
                "Sites whose dots do not overlap can be told apart by this number alone.",
                size="wide",
            )
        )
    blocks.append(_median_table(frame, measures))
    blocks.append(_outlier_table(frame, measures))
    return Section("quality", "Image quality", tuple(blocks))


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
    if study.travelling:
        travellers = count(len(study.travelling), "participant was", "participants were")
        text += (
            f"{travellers} scanned at two or more trained sites (travelling subjects): never "
            "trained on, kept for the proof. "
        )
    else:
        text += "Nobody was scanned at two trained sites, so there are no travelling subjects. "
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
        travellers, eligible = "n/a", "n/a"
        if study is not None:
            role = _role(site, inputs)
            travellers = str(len(people & study.travelling))
            eligible = str(len(people & study.eligible))
        rows.append(
            [
                Cell(site, "strong"),
                role,
                str(len(people)),
                eligible,
                travellers,
                str(len(own)),
                str(int(own["doubtful"].sum())),
            ]
        )
    return make_table(
        "Sites",
        {
            "site": False, "role": False, "participants": True, "eligible for training": True,
            "travelling": True, "scans": True, "doubtful brain masks": True,
        },
        rows,
        reading="Eligible: scanned at this site only, with a usable scan. A travelling subject "
        "counts at every site that scanned them.",
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


def _median_table(frame: pd.DataFrame, measures: list[str]) -> Block:
    sites = sorted(frame["site"].dropna().astype(str).unique())
    rows: list[list[str | Cell]] = []
    for name in measures:
        row = QUALITY_MEASURES[name]
        cells: list[str | Cell] = [
            Cell(_title(name), "strong"),
            "" if row.direction == "neutral" else row.direction,
        ]
        for site in sites:
            own = frame.loc[frame["site"].astype(str) == site, name].dropna()
            spread = f" ± {significant(_spread(own), 2)}" if len(own) > 1 else ""
            cells.append(f"{significant(own.median())}{spread}" if len(own) else "n/a")
        rows.append(cells)
    return make_table(
        "Quality by site: median ± spread",
        {"measure": False, "better": False, **dict.fromkeys(sites, True)},
        rows,
        reading="Spread is the median absolute deviation x 1.4826, which equals the standard "
        "deviation where values are normally distributed. Compare rows across, not columns down.",
    )


def _outlier_table(frame: pd.DataFrame, measures: list[str]) -> Block:
    rows: list[list[str | Cell]] = [
        row
        for site, own in frame.groupby("site")
        if len(own) >= _MIN_FOR_OUTLIERS
        for name in measures
        for row in _apart(own, name, site=str(site))
    ]
    if not rows:
        return Paragraph(
            f"No scan lies more than {_OUTLIER} spreads from the median of its own site (sites "
            f"with at least {_MIN_FOR_OUTLIERS} scans)."
        )
    rows.sort(key=lambda row: -abs(float(str(row[5]))))
    return make_table(
        f"Scans apart from their own site ({len(rows)})",
        {
            "scan": False, "site": False, "measure": False, "value": True,
            "site median": True, "spreads away": True,
        },
        rows,
        reading=f"More than {_OUTLIER} spreads from the median of the scans of the same site. "
        "With many measures and scans a few such rows are expected; look at the person's page.",
        folded=len(rows) > 8,
    )  # fmt: skip


def _apart(own: pd.DataFrame, name: str, *, site: str) -> list[list[str | Cell]]:
    values = own[name]
    middle, spread = values.median(), _spread(values.dropna())
    if not is_number(spread) or spread <= 0:
        return []
    distance = (values - middle) / spread
    return [
        [
            str(own.at[index, "stem"]),
            site,
            _title(name),
            significant(values[index]),
            significant(middle),
            f"{distance[index]:+.1f}",
        ]
        for index in own.index[distance.abs() > _OUTLIER]
    ]


def _spread(values: pd.Series) -> float:
    return float((values - values.median()).abs().median() * _MAD_TO_SD)


def _varies(values: pd.Series) -> int:
    return int(pd.to_numeric(values, errors="coerce").notna().sum())


def _title(name: str) -> str:
    unit = QUALITY_MEASURES[name].unit
    words = name.removesuffix("_mm").removesuffix("_l").split("_")
    label = " ".join(word.upper() if word in _ACRONYMS else word for word in words)
    return f"{label} ({unit})" if unit else label
