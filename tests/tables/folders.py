"""Made-up results of FreeSurfer, FastSurfer and CAT12, with the layout of the real files."""

from pathlib import Path

APARC = "StructName NumVert SurfArea GrayVol ThickAvg ThickStd MeanCurv GausCurv FoldInd CurvInd"
ASEG = "Index SegId NVoxels Volume_mm3 StructName normMean normStdDev normMin normMax normRange"
REGIONS = ("bankssts", "cuneus")
STRUCTURES = {"Left-Hippocampus": 4000.5, "Right-Hippocampus": 4100.25, "5th-Ventricle": 0.0}


def aparc_text(thickness=2.5, regions=REGIONS):
    """A cortical table; the second region is .25 mm thicker, and so are area and volume."""
    lines = [
        "# Table of FreeSurfer cortical parcellation anatomical statistics",
        "# Measure Cortex, MeanThickness, Mean Thickness, 2.5, mm",
        "# NTableCols 10",
        f"# ColHeaders {APARC}",
    ]
    for place, region in enumerate(regions):
        mean = thickness + 0.25 * place
        sizes = f"1000 {round(280 * mean)} {round(800 * mean)}"
        lines.append(f"{region:40s} {sizes} {mean} 0.5 0.1 0.02 15 0.9")
    return "\n".join(lines) + "\n"


def aseg_text(extra=0.0, etiv=1500000.5, structures=STRUCTURES):
    """A segmentation whose volumes, but for those of 0, are ``extra`` mm3 larger."""
    lines = [
        "# Title Segmentation Statistics",
        "# Measure BrainSeg, BrainSegVol, Brain Segmentation Volume, 1100000.000000, mm^3",
    ]
    if etiv is not None:
        words = "Estimated Total Intracranial Volume"
        lines.append(f"# Measure EstimatedTotalIntraCranialVol, eTIV, {words}, {etiv}, mm^3")
    lines += [f"# NRows {len(structures)}", "# NTableCols 10", f"# ColHeaders  {ASEG} "]
    for number, (name, volume) in enumerate(structures.items(), start=1):
        size = volume and volume + extra
        lines.append(f"{number:3d} {number + 3:3d} 4000 {size:9.3f}  {name:30s} 70 9 40 110 70")
    return "\n".join(lines) + "\n"


def write_subject(root: Path, name: str, **texts):
    """One folder of a subjects directory; a text of ``None`` is left out."""
    stats = root / name / "stats"
    stats.mkdir(parents=True)
    given = {"lh": aparc_text(), "rh": aparc_text(2.75), "aseg": aseg_text(), **texts}
    files = {"lh": "lh.aparc.stats", "rh": "rh.aparc.stats", "aseg": "aseg.stats"}
    for key, text in given.items():
        if text is not None:
            (stats / files.get(key, key)).write_text(text)
    return stats


def rois_text(atlases):
    """A file of regions: atlas to measure to region to number, written as CAT12 does."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>', "<S>"]
    for atlas, measures in atlases.items():
        names = list(next(iter(measures.values())))
        parts += [f"  <{atlas}>", "    <names>"]
        parts += [f"      <item>{name}</item>" for name in names]
        parts += ["    </names>", "    <comments></comments>", "    <data>"]
        for measure, numbers in measures.items():
            parts.append(f"      <{measure}>[{';'.join(map(str, numbers.values()))}]</{measure}>")
        parts += ["    </data>", f"    <ids>[{';'.join('12'[: len(names)])}]</ids>"]
        parts.append(f"  </{atlas}>")
    return "\n".join([*parts, "</S>", ""])


def volumes(hippocampus=4.5):
    """One atlas of volumes (mL), with a ventricle that holds no grey matter in anybody."""
    grey = {"Left Hippocampus": hippocampus, "3rd Ventricle": 0}
    fluid = {"Left Hippocampus": hippocampus / 36, "3rd Ventricle": hippocampus / 2}
    return {"neuromorphometrics": {"Vgm": grey, "Vcsf": fluid}}


def surface(thickness=2.5):
    """One atlas of thickness (mm), with the medial wall, which has none."""
    return {"aparc_DK40": {"thickness": {"lunknown": "NaN", "lbankssts": thickness}}}


REPORT = """<?xml version="1.0" encoding="utf-8"?>
<S>
  <help><subjectmeasures><vol_TIV>total intracranial volume</vol_TIV></subjectmeasures></help>
  <subjectratings><vol_TIV>3.5</vol_TIV></subjectratings>
  <subjectmeasures><vol_TIV>{tiv}</vol_TIV></subjectmeasures>
</S>
"""


def write_image(root: Path, stem: str, *, value=4.5, tiv=1500.5, thickness=2.5):
    """Results for one image: ``label/`` and ``report/`` in ``root``."""
    for folder in ("label", "report"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "label" / f"catROI_{stem}.xml").write_text(rois_text(volumes(value)))
    if thickness is not None:
        (root / "label" / f"catROIs_{stem}.xml").write_text(rois_text(surface(thickness)))
    if tiv is not None:
        (root / "report" / f"cat_{stem}.xml").write_text(REPORT.format(tiv=tiv))
