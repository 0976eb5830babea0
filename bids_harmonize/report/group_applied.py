"""What the group's page says where a model of another run made the harmonized images."""

from collections import Counter

from bids_harmonize.bids.provenance import keep_models
from bids_harmonize.bids.scans import read_scan_rows
from bids_harmonize.report.group_inputs import GroupInputs


def applied_words(inputs: GroupInputs) -> str:
    """Which scans were harmonized by which model; empty where a model was trained here, or none.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    str
        Sentences.
    """
    if inputs.chosen is not None:
        return ""
    cells = [row.cells for row in read_scan_rows(inputs.output_dir)]
    done = Counter(str(own["harmonized_to"]) for own in cells if own.get("harmonized_to"))
    if not done:
        return ""
    made = keep_models(inputs.dataset.get("GeneratedBy"))
    names = [str(entry["Name"]) for entry in made if "_to-" in str(entry.get("Name"))]
    unseen = sum(own.get("unseen_site") == "true" for own in cells)
    models = f" ({', '.join(names)})" if names else ""
    words = [
        f"{n} of {len(cells)} scans were brought to the look of {site} by a model of another "
        f"run{models}."
        for site, n in sorted(done.items())
    ]
    if unseen:
        words.append(f"The model was trained on no scan of the site of {unseen} of them.")
    words.append(
        "Nothing was trained here, and nothing was measured on these scans: the card of the model "
        "(README.md beside its weights) says what was measured elsewhere."
    )
    return " ".join(words)
