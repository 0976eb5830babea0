"""What the comparison of travelling subjects can show in this study, and what it cannot."""

import pandas as pd

from bids_harmonize.bids.study import Study


def comparison_notes(study: Study, scores: pd.DataFrame, best: str | None) -> tuple[str, ...]:
    """Who was compared, and what cannot be known without whom.

    Parameters
    ----------
    study
        The study.
    scores
        Rows of group_travelling.tsv.
    best
        The best training-free method; ``None`` where none can be called so.

    Returns
    -------
    tuple of str
        Sentences for the reader.
    """
    notes = []
    people: pd.Series = scores["participant_id"]
    if study.outside_reference:
        notes.append(_imageless_note(study, scores))
    elif not study.travelling:
        notes.append(
            "nobody was scanned at two trained sites, so nothing shows how near a harmonized "
            "image is to the person's real scan; the site probes alone cannot tell"
        )
    elif best is None:
        notes.append(
            f"{people.nunique()} of {len(study.travelling)} travelling subjects could be scored "
            "in the brain at the reference site; the primary endpoint cannot be told"
        )
    else:
        notes.append(
            f"{people.nunique()} travelling subjects were scored; the best method without "
            f"training is {best}"
        )
    doubtful = [
        scan.stem
        for scan in study.harmonized_scans(joint=False)
        if scan.participant_id in study.travelling and not scan.usable
    ]
    if doubtful:
        notes.append(f"not scored, the brain mask is doubtful: {', '.join(doubtful)}")
    return tuple(notes)


def _imageless_note(study: Study, scores: pd.DataFrame) -> str:
    """What can be judged, and what not, where the reference has no images here."""
    kinds = scores.groupby("kind")["participant_id"].nunique()
    text = f"the reference {study.reference_site} is known by its card alone: "
    if study.virtual_reference:
        text = "the reference is the median of all sites: "
    if "direct" in kinds:
        text += f"{kinds['direct']} travelling subjects with real scans there were scored; "
    else:
        text += "without a real scan there, closeness to it cannot be judged; "
    if "agreement" in kinds:
        text += f"agreement between local sites was scored on {kinds['agreement']} people; "
    else:
        text += "nobody was scanned at two local sites, so their agreement cannot be judged; "
    if len(study.trained_sites) > 1:
        return f"{text}site probes look at the local sites among themselves"
    return f"{text}with one local site there is no site for a probe to tell"
