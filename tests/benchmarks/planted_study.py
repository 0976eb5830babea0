"""The study of the benchmark of planted effects: run by the app, read into arms."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.derived_scans import DerivedScan, derived_scan
from bids_harmonize.phantom import StudyDesign
from bids_harmonize.phantom.design import PlannedPerson, plan_people
from bids_harmonize.stages.tissue.scan import region_feature
from bids_harmonize.tables.own import HARMONIZED, RAW
from tests.benchmarks.planted_effects import People, people_of
from tests.benchmarks.planted_images import measure_images, unseen_models
from tests.benchmarks.planted_truth import IDEAL, TRUE, Visit, measure_truth
from tests.benchmarks.site_runs import make_study, read_table, run_app
from tests.benchmarks.true_derivative import write_derivative

PLANTED_IN = (
    "left frontal lobe",
    "right frontal lobe",
    "left temporal lobe",
    "right temporal lobe",
)
"""Regions of the app that hold the pattern's centres, the insula's apart."""
ARMS = (RAW, HARMONIZED, IDEAL, TRUE)
PLANTED_VOLUME = "planted"


def run_study(words: argparse.Namespace, design: StudyDesign) -> tuple[Path, Path]:
    """Raw phantom and derivative with ``group_features.tsv``."""
    bids_dir = make_study(words.folder, design)
    output_dir = bids_dir.with_name(
        f"{bids_dir.name}-{words.harmonizer}{'-own' if words.own_masks else ''}"
    )
    if words.keep and (output_dir / "group_features.tsv").is_file():
        return bids_dir, output_dir
    log, nprocs = output_dir.with_suffix(".log"), ["--nprocs", str(words.nprocs)]
    if words.own_masks:
        given = ["--resolution", f"{design.resolution_mm:g}", *nprocs]
        run_app([str(bids_dir), str(output_dir), "participant", *given], log)
    else:
        write_derivative(bids_dir, output_dir, resolution_mm=design.resolution_mm)
    stages = ["--stages", "harmonize", "features", "--harmonizer", words.harmonizer]
    groups = ["--group-column", "group", "--control-label", "control"]
    cost = run_app(["-", str(output_dir), "group", *stages, *groups, *nprocs, *words.options], log)
    say(f"harmonize and features: {cost.cpu_s:.0f} s of CPU, {cost.peak_gb:.2f} GB")
    return bids_dir, output_dir


def measured_people(output_dir: Path, design: StudyDesign) -> dict[str, PlannedPerson]:
    """Participant to plan: everybody of one site whom the app measured in both arms."""
    table = read_table(output_dir, "group_features")
    arms = table.groupby("participant_id")["arm"].nunique()
    both = set(arms.index[arms == 2])
    single = {one.participant_id: one for one in plan_people(design) if one.site is not None}
    lost = sorted(set(single) - both)
    if lost:
        say(f"left out, for the app has no numbers in both arms: {', '.join(lost)}")
    return {name: one for name, one in single.items() if name in both}


def read_volumes(
    words: argparse.Namespace, output_dir: Path, design: StudyDesign
) -> tuple[People, Mapping[str, pd.DataFrame]]:
    """Everybody, and for each arm a table of volumes in the same order."""
    planned = measured_people(output_dir, design)
    folder = output_dir.with_name(f"{output_dir.name}-truths")
    kept_table = folder / "volumes.tsv"
    if words.keep and kept_table.is_file():
        truth = pd.read_csv(kept_table, sep="\t")
    else:
        visits = [Visit(one, design, _scan_of(output_dir, one)) for one in planned.values()]
        folder.mkdir(exist_ok=True)
        truth = measure_truth(visits, folder, n_procs=words.nprocs)
        truth.to_csv(kept_table, sep="\t", index=False)
    own = read_table(output_dir, "group_features")
    columns = [name for name in truth.columns if name not in ("participant_id", "arm")]
    both = pd.concat([own[["participant_id", "arm", *columns]], truth], ignore_index=True)
    both[columns] = both[columns].astype(np.float64)
    both[PLANTED_VOLUME] = both[[region_feature(region) for region in PLANTED_IN]].sum(axis=1)
    people = pd.DataFrame(
        {"site": one.site, "age": one.traits.age, "sex": one.traits.sex, "group": one.group}
        for one in planned.values()
    )
    arms = {
        arm: both[both["arm"] == arm].set_index("participant_id").loc[list(planned)]
        for arm in ARMS
    }
    return people_of(people), arms


def _scan_of(output_dir: Path, person: PlannedPerson) -> DerivedScan:
    site = (str(person.site), "participants")
    return derived_scan(output_dir, person.participant_id, site=site, usable=True)


def read_seen(
    words: argparse.Namespace, output_dir: Path, design: StudyDesign
) -> Mapping[str, pd.DataFrame]:
    """As the second of :func:`read_volumes`, without the app's segmentation."""
    planned = measured_people(output_dir, design)
    kept_table = output_dir.with_name(f"{output_dir.name}-truths") / "seen.tsv"
    if words.keep and kept_table.is_file():
        seen = pd.read_csv(kept_table, sep="\t")
    else:
        models = unseen_models(output_dir, read_table(output_dir, "group_features"))
        seen = measure_images(
            [Visit(one, design, _scan_of(output_dir, one)) for one in planned.values()],
            [models[name] for name in planned],
            planted_in=PLANTED_IN,
            n_procs=words.nprocs,
        )
        seen.to_csv(kept_table, sep="\t", index=False)
    return {
        arm: seen[seen["arm"] == arm].set_index("participant_id").loc[list(planned)]
        for arm in ARMS
    }


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
