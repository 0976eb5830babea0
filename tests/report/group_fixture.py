"""A small output dataset in the contracted layout, with invented but plausible content."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import scan_output, site_label, site_output
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.config import Settings, dump_toml
from tests.report.site_fixture import write_site_tables, write_tsv

SHAPE = (24, 28, 24)
VOXEL_MM = 8.0
SITES = ("Site A", "Site B", "Site C")
REFERENCE = "Site B"
N_SINGLE = 6
N_TRAVELLING = 3
AFFINE = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
AFFINE[:3, 3] = [-96, -112, -72]
MEANS = {  # brain PSNR in dB of every method
    "identity": 18.2,
    "nyul": 20.9,
    "histogram": 21.1,
    "n4": 19.5,
    "n4_histogram": 22.4,
    "localhistogram": 25.6,
    "cyclegan": 24.8,
    "blur": 19.6,
    "ceiling": 30.1,
}


def stems() -> dict[str, str]:
    """Stem of every scan to its site; one site has a single person."""
    found = {}
    person = 0
    for site in SITES:
        for _ in range(N_SINGLE):
            person += 1
            found[f"sub-{person:02d}"] = site
    for _ in range(N_TRAVELLING):
        person += 1
        for site in SITES:
            found[f"sub-{person:02d}_ses-{site_label(site)}"] = site
    found[f"sub-{person + 1:02d}"] = "Site D"
    return found


def write_participants(output_dir: Path, *, doubtful: str = "sub-02") -> None:
    """Images, masks and scans tables, as the participant level leaves them."""
    rng = np.random.default_rng(0)
    rows = {}
    for stem, site in stems().items():
        volume, head, brain = make_head(rng, site=site)
        write_image(scan_output(output_dir, stem, "preproc"), volume, AFFINE)
        write_image(scan_output(output_dir, stem, "head_mask"), head, AFFINE, dtype=np.uint8)
        write_image(scan_output(output_dir, stem, "brain_mask"), brain, AFFINE, dtype=np.uint8)
        shift = "ABCD".index(site[-1])
        rows[stem] = {
            "site": site,
            "site_source": "participants.tsv:site",
            "brain_mask_doubtful": stem == doubtful,
            "flags": None,
            "snr": rng.normal(12 + 2 * shift, 1),
            "cnr": rng.normal(3.1 - 0.2 * shift, 0.15) * (0.5 if stem == "sub-03" else 1),
            "cjv": rng.normal(0.5 + 0.05 * shift, 0.02),
            "brain_volume_l": rng.normal(1.4, 0.1),
            "settings_hash": "0" * 16,
            "input_sha256": "0" * 64,
        }
    measures = {name: {"Description": name} for name in ("snr", "cnr", "cjv", "brain_volume_l")}
    write_scan_rows(output_dir, rows, measures=measures)
    (output_dir / "logs").mkdir(exist_ok=True)
    settings = Settings()
    (output_dir / "logs" / "20260101T120000.toml").write_text(dump_toml(settings))
    (output_dir / "dataset_description.json").write_text(json.dumps({"Name": "A <small> study"}))


def make_head(rng: np.random.Generator, *, site: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head of two shells with the site's contrast and coil field."""
    shift = "ABCD".index(site[-1])
    place = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    radius = np.sqrt((place**2).sum(axis=0)) / rng.uniform(0.92, 1.0)
    head, brain = radius < 0.9, radius < 0.65
    tissue = 0.35 + 0.3 * (np.sin(9 * place[0]) * np.cos(7 * place[1] + 3 * place[2]) > 0)
    volume = np.where(brain, tissue ** (1 + 0.2 * shift), 0.25) * (1 + 0.2 * shift * place[1])
    volume = 800 * (volume + rng.normal(0, 0.02, SHAPE))
    return np.where(head, np.maximum(volume, 1), 0).astype(np.float32), head, brain


def write_group(output_dir: Path) -> None:
    """Tables, models, harmonized images and saliency, as the group level leaves them."""
    _write_classification(output_dir)
    _write_methods(output_dir)
    _write_probes(output_dir)
    _write_harmonizer(output_dir)
    rng = np.random.default_rng(1)
    for stem, site in stems().items():
        if site in SITES:
            volume, _, _ = make_head(rng, site=REFERENCE)
            path = scan_output(output_dir, stem, "harmonized", reference=REFERENCE)
            write_image(path, volume, AFFINE)
    for site in SITES:
        saliency = np.where(make_head(rng, site=site)[1], rng.random(SHAPE), 0)
        write_image(site_output(output_dir, site, "site_mean_saliency"), saliency, AFFINE)


def _write_classification(output_dir: Path) -> None:
    rng = np.random.default_rng(2)
    write_site_tables(output_dir, sites=SITES, per_site=N_SINGLE)
    predictions = []
    for stem, site in stems().items():
        if site in SITES and stem != "sub-02":
            wrong = rng.random() < 0.1
            predictions.append({
                "filename": f"{stem}.nii.gz", "participant_id": stem.split("_")[0], "site": site,
                "fold": None if "_ses-" in stem else 1,
                "images": "preproc", "predicted": SITES[0] if wrong else site,
                **{f"p_{name}": 0.9 if name == site else 0.05 for name in SITES},
                "saliency_in_brain": 0.6, "saliency_brain_ratio": 1.25,
                "unseen_score": 1.5, "unseen_site": "true" if stem == "sub-04" else "false",
            })  # fmt: skip
    write_tsv(output_dir / "group_sitepredictions.tsv", predictions)


def _write_methods(output_dir: Path) -> None:
    rng = np.random.default_rng(3)
    people = [f"sub-{3 * N_SINGLE + 1 + n:02d}" for n in range(N_TRAVELLING)]
    rows, means = [], []
    for source in ("Site A", "Site C"):
        for method, base in MEANS.items():
            for metric, scale in (("psnr", 1.0), ("ssim", 0.03), ("mae", 0.002)):
                for mask in ("brain", "head"):
                    values = [scale * (base + rng.normal(0, 0.6)) for _ in people]
                    key = {
                        "source_site": source, "target_site": REFERENCE, "kind": "direct",
                        "method": method, "mask": mask, "metric": metric,
                    }  # fmt: skip
                    rows += [
                        {"participant_id": person, **key, "value": value}
                        for person, value in zip(people, values, strict=True)
                    ]
                    means.append({**key, **_mean_row(values)})
    write_tsv(output_dir / "group_travelling.tsv", rows)
    frame = pd.DataFrame(means)
    keys = ["target_site", "kind", "method", "mask", "metric"]
    pooled = frame.groupby(keys, sort=False)[["mean", "low", "high"]].mean().reset_index()
    total = pooled.assign(source_site="all", n=N_TRAVELLING, gap_closed=None).to_dict("records")
    for row in total:
        main = row["mask"] == "brain" and row["metric"] == "psnr"
        row["p_vs_best_baseline"] = 0.031 if main and row["method"] == "cyclegan" else None
    for row in means:
        if row["metric"] == "psnr":
            row["gap_closed"] = (MEANS[row["method"]] - 18.2) / 11.9
    write_tsv(output_dir / "group_methods.tsv", [*means, *total])


def _mean_row(values: list[float]) -> dict[str, float]:
    mean = float(np.mean(values))
    spread = float(np.std(values))
    return {"n": len(values), "mean": mean, "low": mean - spread, "high": mean + spread}


def _write_probes(output_dir: Path) -> None:
    probes = (
        ("identity", "frozen", (0.95,)),
        ("identity", "reseeded", (0.96, 0.97)),
        ("cyclegan", "frozen", (0.33,)),
        ("cyclegan", "reseeded", (0.71, 0.72)),
    )
    rows = [
        {
            "method": method, "probe": probe, "sites": "all", "seed": seed,
            "balanced_accuracy": value, "low": value - 0.1,
            "high": min(value + 0.1, 1), "train_accuracy": 0.98, "chance": 1 / 3,
            "share_reference": 0.9, "null_q001": 0.1, "leak_suspected": "false", "mmd": None,
            "n": 18,
        }
        for method, probe, values in probes
        for seed, value in enumerate(values)
    ]  # fmt: skip
    write_tsv(output_dir / "group_siteprobe.tsv", rows)


def _write_harmonizer(output_dir: Path) -> None:
    folder = output_dir / "models" / f"cyclegan_to-{site_label(REFERENCE)}"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(
        json.dumps({"reference_site": REFERENCE, "name": "cyclegan"})
    )
    rows = [
        {
            "source_site": site, "iteration": step, "cycle": 0.3 * 0.99**step + 0.01,
            "adversarial": 0.5 * 0.998**step, "local_histogram": 0.1 * 0.985**step + 0.01,
            "distance": 0.1 * 0.99**step + 0.02 if step % 50 == 0 else None,
            "distance_back": 0.1 * 0.98**step + 0.03 if step % 50 == 0 else None,
        }
        for site in ("Site A", "Site C")
        for step in range(0, 301, 10)
    ]  # fmt: skip
    write_tsv(folder / "training_curve.tsv", rows)
