"""The read-me of every derivative dataset."""

from bids_harmonize.bids.provenance import SOFTWARE

README = f"""# Output of {SOFTWARE}

T1w images of several sites on one grid, and, after the group level, as if they came from one site.

| what | where |
|---|---|
| pages to look at | `sub-*.html`, `group.html` |
| image on the study grid, native units | `sub-*/**/*_desc-preproc_T1w.nii.gz` |
| the same as if from the reference site | `sub-*/**/*_desc-harmonized<Site>_T1w.nii.gz` |
| masks | `*_desc-head_mask.nii.gz`, `*_desc-brain_mask.nii.gz` |
| back to the raw image's grid, and onto the template | `*_xfm.txt`, `*_xfm.h5` |
| site and quality measures of every scan | `*_scans.tsv`, `group_quality.tsv` |
| what is gone and what is kept | `group_*.tsv`; each `.json` beside it explains the columns |
| trained models | `models/` |
| log and settings of every run | `logs/` |

Every `desc-` label is explained in `descriptions.tsv`. To use the harmonized images in an app that
takes a BIDS filter: `{{"t1w": {{"desc": "harmonized<Site>"}}}}`.
"""
