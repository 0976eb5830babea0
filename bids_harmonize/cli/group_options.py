"""Options of the group level."""

from bids_harmonize.cli.option import Option

GROUP_LEVEL: tuple[Option, ...] = (
    Option(
        ("--stages",),
        "group.stages",
        "STAGE",
        "stages to run (default: all that the inputs allow)",
        "many",
    ),
    Option(("--harmonizer",), "group.harmonizer", "NAME", "method to use (default: cyclegan)"),
    Option(
        ("--generator",),
        "harmonizer.generator",
        "{bilateral,residual}",
        "networks of cyclegan: bilateral changes brightness alone; residual is that of the "
        "classical CycleGAN, can draw and erase structure, lesions among it, and takes hours "
        "on a CPU (default: bilateral)",
    ),
    Option(
        ("--sources",),
        "group.sources",
        "{pairwise,joint}",
        "pairwise trains each source site with the reference, both ways; joint trains one model "
        "from all of them to the reference, which serves sites it has never seen too, flagged as "
        "such (default: pairwise)",
    ),
    Option(
        ("--network-resolution",),
        "group.network_resolution_mm",
        "MM",
        "voxel size at which networks train, never finer than the study "
        "(default: on CPU 4 for the classifier and 3 for generators; on a GPU the study's, and 3 "
        "for generators that train on sub-boxes)",
    ),
    Option(
        ("--sub-boxes",),
        "group.sub_boxes",
        "{auto,on,off}",
        "train bilateral generators at the voxel size of the study: what changes is predicted "
        "from a coarse copy of the scan, and losses are taken in random boxes of it; takes disk "
        "for the scans, uncompressed, in the work directory (default: auto, on a GPU)",
    ),
    Option(
        ("--effort",),
        "group.effort",
        "{quick,full}",
        "quick computes less and says so in every table (default: full)",
    ),
    Option(
        ("--folds",),
        "group.folds",
        "N",
        "folds of the cross-validation, lowered to the smallest trained site (default: 5)",
    ),
    Option(
        ("--group-column",),
        "group.group_column",
        "NAME",
        "column of participants.tsv (or of --features) that tells controls from others: "
        "classifier and harmonizer are then fitted on controls alone, and applied to everybody "
        "(default: none; it is never guessed)",
    ),
    Option(
        ("--control-label",),
        "group.control_label",
        "NAME",
        "word of --group-column for controls (default: control, HC, CN or the like, if it has one "
        "of them)",
    ),
    Option(
        ("--case-label",),
        "group.case_label",
        "NAME",
        "words of --group-column that disorder compares with controls, as one group (default: "
        "the only other word; needed where there are several)",
        "many",
    ),
    Option(
        ("--covariates",),
        "group.covariates",
        "NAME",
        "columns that disorder adjusts for, of the table or participants.tsv: numbers, or up to "
        "12 words; "
        "age, sex and tiv by any of their spellings (default: age sex tiv, where present)",
        "many",
    ),
    Option(
        ("--compare-map",),
        "group.compare_map",
        "NAME=TABLE",
        "published effects of a disorder (TSV or CSV with columns feature or Structure, and d or "
        "d_icv) that disorder correlates its own effects with",
        "pairs",
    ),
    Option(
        ("--case-network",),
        "group.case_network",
        "",
        "disorder also trains a 3D network on images, raw and harmonized, for every site that it "
        "leaves out: minutes to hours (default: regression on features alone)",
        "flag",
    ),
    Option(
        ("--overwrite-harmonized",),
        "group.overwrite_harmonized",
        "",
        "replace harmonized images of another harmonizer or reference site (default: refuse)",
        "flag",
    ),
    Option(
        ("--model-dir",),
        "group.model_dir",
        "PATH",
        "apply the trained models in this folder (models/ of another run, or one of them) and fit "
        "nothing: group asks the site classifier and harmonizes, participant harmonizes; grid, "
        "method and reference site come from the model",
    ),
    Option(
        ("--features",),
        "group.features",
        "[ARM=]PATH",
        "features to work on instead of images: a TSV with participant_id, or a folder of "
        "FreeSurfer or FastSurfer (subjects directory), CAT12, sMRIPrep or fMRIPrep (volumes by "
        "probseg and dseg), or a name of -d; ARM is raw (default) or harmonized. The site "
        "stands there, or in a participants.tsv of the folder or output_dir",
        "words",
    ),
    Option(
        ("--feature-columns",),
        "group.feature_columns",
        "GLOB",
        "columns of --features to use, for instance '*_thickness', or of group_features.tsv "
        "(default: all with numbers; of group_features.tsv the densities of the parcels)",
        "many",
    ),
    Option(
        ("--atlas",),
        "group.atlas",
        "NIFTI",
        "label image on the ICBM152 template whose regions stand in group_saliencyregions.tsv and "
        "whose grey matter in group_features.tsv; names in a .tsv (index, name) or .json beside "
        "it (default: coarse regions of the head, and 300 parcels of the brain)",
    ),
    Option(
        ("--export-card",),
        "group.export_card",
        "",
        "write models/card_<Site>/: the reference site's mean local histograms, which another "
        "hospital can train against without its images; at least 10 people. Without --stages "
        "nothing else is done",
        "flag",
    ),
    Option(
        ("--card-noise",),
        "group.card_noise",
        "SIGMA",
        "noise on the exported card, in units of what one person changes (default: 0)",
    ),
    Option(
        ("--card-licence",),
        "group.card_licence",
        "TEXT",
        "under which terms others may use the exported card (default: not stated)",
    ),
    Option(
        ("--reference-card",),
        "group.reference_card",
        "PATH",
        "harmonize to the site of this card, none of whose images is needed; one local site is "
        "enough, and the harmonizer is localhistogram. Several cards make one virtual reference",
        "paths",
    ),
    Option(
        ("--judge",),
        "group.judge",
        "NAME=PATH[:DESC]",
        "images that another tool made of the preprocessed scans: features and evaluate take them "
        "as judge:NAME. They are named as their scan (plus space, res, desc) in "
        "PATH/sub-*/[ses-*/]anat, on any grid; PATH/training.tsv (participant_id) says who "
        "trained the tool, without it no answer can be yes",
        "pairs",
    ),
)
