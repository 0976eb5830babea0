"""Options of the group level that contradict each other, or name what is not there."""

from collections.abc import Sequence
from pathlib import Path

from bids_harmonize.bids.judged import JUDGED_NAME, split_judged
from bids_harmonize.bids.model_folders import (
    classifier_model,
    combat_model,
    harmonizers_in,
    read_model,
)
from bids_harmonize.config import GroupSettings, Settings, SiteSettings
from bids_harmonize.errors import UsageError
from bids_harmonize.harmonizers import HARMONIZERS, check_sources
from bids_harmonize.stages import CLASSIFY, DISORDER, HARMONIZE, OF_GROUPS, applies_models

_SAME_MM = 1e-3


def group_faults(settings: Settings, levels: Sequence[str]) -> list[str]:
    """What is wrong about options of the group level, taken together.

    Parameters
    ----------
    settings
        Of the run; each value is right by itself.
    levels
        ``participant``, ``group`` or both.

    Returns
    -------
    list of str
        One sentence a fault, with what to do.
    """
    group = settings.group
    faults = []
    if group.harmonizer in HARMONIZERS:
        faults += _sources_faults(group)
    if group.model_dir is not None:
        faults += _model_faults(Path(group.model_dir), group, levels)
    if group.features:
        faults += _feature_faults(group, settings.site, levels)
    elif group.feature_columns and not set(OF_GROUPS).intersection(group.stages or ()):
        faults.append(
            "--feature-columns goes with --features, which names the table or folder, or with "
            "--stages disorder or subtypes, which read group_features.tsv"
        )
    if group.atlas is not None:
        faults += _atlas_faults(group.atlas, group, levels)
    if group.judge:
        faults += _judge_faults(group, levels)
    return faults + _control_faults(group, levels) + _disorder_faults(group, levels)


def _disorder_faults(group: GroupSettings, levels: Sequence[str]) -> list[str]:
    """Options of the stage disorder where it does not run, or whose files are not there."""
    given = {
        "--case-label": group.case_label,
        "--covariates": group.covariates,
        "--compare-map": group.compare_map,
    }
    unnamed = group.group_column is None
    unused = set(OF_GROUPS).isdisjoint(group.stages or OF_GROUPS)
    useless = {
        "the group level uses it; add the word group": "group" not in levels,
        "it goes with --group-column, which tells controls from others": unnamed,
        "the stages disorder and subtypes use it; add one to --stages": unused,
    }
    faults = [
        f"{option}: {words}, or leave it out"
        for option, value in given.items()
        for words, is_so in useless.items()
        if value and is_so
    ]
    if group.case_network:
        faults += _case_network_faults(group, levels)
    return faults + [
        f"--compare-map {name}={path}: no such file; expected a table of published effects"
        for name, path in group.compare_map.items()
        if not Path(path).is_file()
    ]


def _case_network_faults(group: GroupSettings, levels: Sequence[str]) -> list[str]:
    useless = {
        "the group level uses it; add the word group": "group" not in levels,
        "it goes with --group-column, which tells controls from others": not group.group_column,
        "--features has no image": bool(group.features),
        "--model-dir trains nothing": group.model_dir is not None,
        "the stage disorder uses it; add it to --stages": "disorder"
        not in (group.stages or ("disorder",)),
    }
    return [
        f"--case-network: {words}, or leave it out" for words, given in useless.items() if given
    ]


def _control_faults(group: GroupSettings, levels: Sequence[str]) -> list[str]:
    if group.group_column is None:
        if group.control_label is None:
            return []
        return ["--control-label goes with --group-column, which names the column it stands in"]
    fits_nothing = group.model_dir is not None and not _applies_combat(group)
    useless = {
        "the group level uses it; add the word group": "group" not in levels,
        "it decides on whom models are fitted, and --model-dir fits nothing, nor holds a ComBat "
        "that disorder could apply": fits_nothing,
    }
    return [
        f"--group-column: {words}, or leave it out" for words, given in useless.items() if given
    ]


def _atlas_faults(atlas: str, group: GroupSettings, levels: Sequence[str]) -> list[str]:
    useless = {
        "the group level uses it; add the word group": "group" not in levels,
        "--features has no image": bool(group.features),
        "--model-dir looks at no region": group.model_dir is not None,
        "the stages classify and features use it; add one to --stages": not {
            "classify",
            "features",
        }.intersection(group.stages or ("classify",)),
    }
    faults = [f"--atlas: {words}, or leave it out" for words, given in useless.items() if given]
    if not Path(atlas).is_file():
        faults.append(f"--atlas {atlas}: no such file; expected a NIfTI label image")
    return faults


def _judge_faults(group: GroupSettings, levels: Sequence[str]) -> list[str]:
    useless = {
        "the group level uses it; add the word group": "group" not in levels,
        "--features has no image to compare with": bool(group.features),
        "--model-dir evaluates nothing": group.model_dir is not None,
        "the stages features and evaluate use it; add evaluate to --stages": not {
            "features",
            "evaluate",
        }.intersection(group.stages or ("evaluate",)),
    }
    faults = [f"--judge: {words}, or leave it out" for words, given in useless.items() if given]
    for name, value in group.judge.items():
        folder, _ = split_judged(value)
        if not JUDGED_NAME.fullmatch(name):
            faults.append(f"--judge {name}={value}: NAME may hold letters, digits, - and _ alone")
        if not folder.is_dir():
            faults.append(f"--judge {name}={value}: no such folder: {folder}")
    return faults


def _sources_faults(group: GroupSettings) -> list[str]:
    try:
        check_sources(group.harmonizer, group.sources)
    except UsageError as error:
        return [str(error)]
    return []


def _model_faults(model_dir: Path, group: GroupSettings, levels: Sequence[str]) -> list[str]:
    if group.features:
        return _combat_faults(model_dir, group, "--features")
    faults = []
    if DISORDER in (group.stages or ()):
        faults += _combat_faults(model_dir, group, f"--stages {DISORDER}")
    waiting = [name for name in group.stages or () if not applies_models(name)]
    if waiting:
        faults.append(
            f"--stages {' '.join(waiting)} cannot use --model-dir: it applies no model; leave it "
            "out, or run it without --model-dir"
        )
    if "group" not in levels:
        if group.stages is not None and HARMONIZE not in group.stages:
            faults.append(
                f"--stages {' '.join(group.stages)}: at the participant level --model-dir applies "
                "a harmonizer, which this leaves out; leave --stages out, or add the word group"
            )
        return faults
    return faults + _classifier_faults(model_dir, group)


def _combat_faults(model_dir: Path, group: GroupSettings, option: str) -> list[str]:
    """Faults of a ComBat that is to be applied to a table of features."""
    others = [name for name in group.stages or () if name != DISORDER] if group.features else []
    faults = [
        f"--stages {' '.join(others)} cannot use --model-dir with --features: {DISORDER} alone "
        "applies a model to tables; leave them out, or run them without --model-dir"
    ] if others else []  # fmt: skip
    if combat_model(model_dir) is None:
        found = "no ComBat in it" if model_dir.is_dir() else "no such folder"
        faults.append(
            f"--model-dir {model_dir} with {option}: {found}; expected the folder models/ of a "
            "run of the stage disorder, or models/combat itself"
        )
    return faults


def _applies_combat(group: GroupSettings) -> bool:
    if group.model_dir is None or DISORDER not in (group.stages or (DISORDER,)):
        return False
    return combat_model(Path(group.model_dir)) is not None


def _classifier_faults(model_dir: Path, group: GroupSettings) -> list[str]:
    if group.stages is not None and CLASSIFY not in group.stages:
        return []
    faults: list[str] = []
    folder = classifier_model(model_dir)
    others = harmonizers_in(model_dir) or combat_model(model_dir)
    if folder is None and (group.stages is not None or not others):
        found = "no such folder" if not model_dir.is_dir() else "no site classifier in it"
        faults.append(
            f"--model-dir {model_dir}: {found}; expected the folder models/ of a run of the stage "
            "classify, or models/classifier itself"
        )
    if folder is None:
        return faults
    size, wanted = read_model(folder).get("voxel_size_mm"), group.network_resolution_mm
    if isinstance(size, float) and wanted is not None and abs(size - wanted) > _SAME_MM:
        faults.append(
            f"--network-resolution {wanted:g}: the model in {folder} looks at voxels of {size:g} "
            "mm; leave the option out"
        )
    return faults


def _feature_faults(group: GroupSettings, site: SiteSettings, levels: Sequence[str]) -> list[str]:
    faults = [
        f"--features {path}: no such file or folder"
        for path in group.features.values()
        if not Path(path).exists()
    ]
    if "participant" in levels:
        faults.append(
            "--features stands in for images, so there is nothing for the participant level to "
            "do; give the word group alone"
        )
    asked = {
        f"--site-source {site.site_source}": site.site_source not in ("auto", "participants"),
        "--site-from-session": site.site_from_session is not None,
    }
    faults += [
        f"{option} goes ill with --features: the site is read in --site-map, in the table (of a "
        "folder: its participants.tsv), and in the participants.tsv of output_dir, in this order"
        for option, given in asked.items()
        if given
    ]
    return faults
