"""Section "Methods": a paragraph to start from, references, settings, software, files."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.config import dump_toml, parse_toml
from bids_harmonize.report.group_applied import applied_words
from bids_harmonize.report.group_blocks import (
    Block,
    Cell,
    Paragraph,
    References,
    Section,
    make_table,
)
from bids_harmonize.report.group_disordermethods import disorder_methods
from bids_harmonize.report.group_files import files_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_reference import reference_sentence, reference_words
from bids_harmonize.report.group_references import REFERENCES
from bids_harmonize.report.group_subtypemethods import subtypes_methods
from bids_harmonize.report.group_tissue import tissue_words
from bids_harmonize.report.group_words import count, listing, method_words

_SOFTWARE = ("torch", "monai", "SimpleITK", "scikit-image", "nibabel", "nilearn", "numpy")


def about_section(inputs: GroupInputs) -> Section:
    """What was done, in the form of a methods paragraph, with all that is needed to repeat it.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        Describes only steps whose outputs are there.
    """
    sentences, cited = _methods(inputs)
    blocks: list[Block] = [
        Paragraph(
            "This paragraph describes what was done in this run. It may be copied into a paper."
        ),
        Paragraph(" ".join(sentences), kind="lead"),
        References(tuple(REFERENCES[key] for key in cited)),
        files_table(inputs),
        _software_table(inputs),
        _settings_block(inputs),
    ]
    return Section("methods", "Methods, settings and files", tuple(blocks))


def group_methods(inputs: GroupInputs) -> tuple[list[str], list[str]]:
    """What the group level did, and what it cites, as texts.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    sentences : list of str
        Only steps whose outputs are there.
    references : list of str
        With a DOI where there is one.
    """
    sentences, cited = _methods(inputs)
    rows = (REFERENCES[key] for key in cited)
    return sentences, [row.text + (f" doi:{row.doi}" if row.doi else "") for row in rows]


def _methods(inputs: GroupInputs) -> tuple[list[str], list[str]]:
    compared, works = (
        [*of_disorder, *of_subtypes]
        for of_disorder, of_subtypes in zip(
            disorder_methods(inputs), subtypes_methods(inputs), strict=True
        )
    )
    if inputs.from_features:
        return [*_feature_methods(inputs), *compared], list(dict.fromkeys(works))
    sentences = [
        f"T1-weighted images, organised by the Brain Imaging Data Structure, were processed with "
        f"bids-harmonize {__version__}."
    ]
    cited = ["bids"]
    study = inputs.study
    if study is not None:
        sizes = " x ".join(str(n) for n in study.grid_shape)
        sentences.append(
            f"Images were reoriented to RAS+, resampled to one grid ({sizes} voxels of "
            f"{study.voxel_size_mm:g} mm), and set to zero outside the head. The brain was found "
            "by affine registration to the ICBM 2009a symmetric template."
        )
        cited.append("template")
        sentences.append(
            f"Trained sites were {listing(study.trained_sites)}, with "
            f"{count(len(study.eligible), 'participant')} who were scanned at one of them only; "
            f"{count(len(study.travelling), 'travelling subject')} took no part in training."
        )
        if study.people_words:
            sentences.append(
                f"Models were fitted on {study.people_words}, "
                f"{count(len(study.trainees), 'participant')} in all."
            )
    if "siteclassification" in inputs.tables:
        sentences.append(
            "A three-dimensional convolutional network was trained to name the site, with blocks "
            "of the volume hidden or kept at random, and tested by cross-validation split by "
            "participant; intervals are 95 % Wilson intervals of the pooled predictions."
        )
    if inputs.chosen is not None:
        extra, more = _harmonizer_words(inputs)
        sentences += extra
        cited += more
    elif words := applied_words(inputs):
        sentences.append(words)
    if "methods" in inputs.tables:
        sentences.append(
            "Methods were compared on travelling subjects: each harmonized image with the "
            "person's real scan at the target site, after rigid registration and rescaling of "
            "every image by its 1st and 99th percentile, by PSNR, SSIM and MAE within the brain "
            "and the head. The primary measure was brain PSNR, tested against the best "
            "training-free method by paired Wilcoxon tests with Holm's correction over methods; "
            "other intervals are bootstrap intervals over people."
        )
        methods = set(inputs.tables["methods"]["method"])
        cited += ["ssim", "holm", *(["nyul"] if "nyul" in methods else [])]
        cited += ["n4"] if {"n4", "n4_histogram"} & methods else []
    return [*sentences, *tissue_words(inputs), *compared], list(dict.fromkeys((*cited, *works)))


def _feature_methods(inputs: GroupInputs) -> list[str]:
    if "siteclassification" not in inputs.tables:
        return [f"A table of features was examined with bids-harmonize {__version__}."]
    return [
        f"The site was told from a table of features with bids-harmonize {__version__}: logistic "
        "regression, tested by cross-validation split by participant and pooled over folds."
    ]


def _harmonizer_words(inputs: GroupInputs) -> tuple[list[str], list[str]]:
    chosen = inputs.chosen
    if chosen is None:
        return [], []
    target = reference_words(inputs)
    if target == chosen.reference_site:
        target = f"the images of {target}"
    generator = (
        "a generator that predicts, on a coarse grid in space and intensity, how much brighter "
        "each intensity is to become at each place, so that it cannot draw anatomy"
    )
    if chosen.draws:
        words = (
            f"Images of the other sites were brought to the look of {target} by a "
            "cycle-consistent adversarial network without paired images, with residual generators "
            "that may change every voxel of the head, and so can draw and erase structure, patch "
            "discriminators, and cycle and identity losses."
        )
        return [words], ["cyclegan"]
    if chosen.name == "cyclegan":
        words = (
            f"Images of the other sites were brought to the look of {target} by a "
            f"cycle-consistent adversarial network without paired images, with {generator}, "
            "patch discriminators, and cycle, identity and local-histogram losses."
        )
        return [words], ["cyclegan", "hdrnet", "lesions"]
    if chosen.name == "localhistogram":
        words = (
            f"Images of the other sites were brought to the look of {target} with {generator}, "
            "trained so that local histograms of intensity and gradient agree."
        )
        return [" ".join(filter(None, (words, reference_sentence(inputs))))], ["hdrnet", "lesions"]
    words = f"Images of the other sites were brought to {target} by {method_words(chosen.name)}."
    return [words], []


def _software_table(inputs: GroupInputs) -> Block:
    rows: list[list[str | Cell]] = [["bids-harmonize", __version__]]
    rows += [
        [str(entry.get("Name")), str(entry.get("Version"))]
        for entry in inputs.dataset.get("GeneratedBy", [])
        if isinstance(entry, dict) and entry.get("Name") != "bids-harmonize"
    ]
    rows += [[name, found] for name in _SOFTWARE if (found := _version(name))]
    return make_table(
        "Software",
        {"package": False, "version": False},
        rows,
        reading="Versions of the installation that made this page; those of each step stand in "
        "the sidecars and model.json files.",
        folded=True,
    )


def _settings_block(inputs: GroupInputs) -> Block:
    run = inputs.run
    if run is None or run.settings is None:
        text = "The settings of the run are not in logs/, so they are not shown."
        return Paragraph(text, "absent")
    values = parse_toml(dump_toml(run.settings), source="settings")
    rows: list[list[str | Cell]] = [
        [section, key, _plain(value)]
        for section, keys in values.items()
        for key, value in keys.items()
        if value not in ([], {}, "")
    ]
    return make_table(
        f"Settings of run {run.run_id}",
        {"section": False, "setting": False, "value": False},
        rows,
        reading=f"As written to logs/{run.run_id}.toml, which --config-file takes.",
        folded=True,
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
