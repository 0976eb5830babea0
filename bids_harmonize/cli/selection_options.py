"""Options that say which scans of which datasets are used."""

from bids_harmonize.cli.option import Option

WHICH_SCANS: tuple[Option, ...] = (
    Option(
        ("--participant-label",),
        "selection.participant_label",
        "LABEL",
        "participants, with or without sub-, by space or comma (default: all)",
        "labels",
    ),
    Option(
        ("--session-label", "--session-id"),
        "selection.session_label",
        "LABEL",
        "sessions, with or without ses- (default: all)",
        "labels",
    ),
    Option(
        ("--bids-filter-file",),
        "bids_filter_file",
        "JSON",
        'pybids filters, for instance {"t1w": {"acquisition": "mprage"}}; only t1w is read',
    ),
    Option(
        ("-d", "--derivatives"),
        "selection.derivatives",
        "NAME=PATH",
        "derivative datasets (sMRIPrep, fMRIPrep) whose desc-brain_mask is taken; the first "
        "that has one wins, and a scan without one falls back to --brain-mask; --features NAME "
        "takes the volumes of their probseg and dseg",
        "pairs",
    ),
    Option(
        ("--dataset",),
        "selection.dataset",
        "NAME=PATH",
        "further raw datasets, one a site for instance; a label that stands in two of them "
        "stops the run unless one of the next two options is given",
        "pairs",
    ),
    Option(
        ("--label-prefix",),
        "selection.label_prefix",
        "",
        "one label in two datasets means two people: those of --dataset NAME become "
        "sub-<NAME><label>, those of bids_dir keep their labels",
        "flag",
    ),
    Option(
        ("--same-participants",),
        "selection.same_participants",
        "",
        "one label in two datasets means one person, scanned for both",
        "flag",
    ),
    Option(
        ("--bids-database-dir",),
        "selection.bids_database_dir",
        "DIR",
        "keep pybids' index of each raw dataset here, made by the first run that finds none; "
        "one that is older than the dataset is not used (default: the selected participants' "
        "folders are read each time)",
    ),
    Option(
        ("--bids-database-wipe",),
        "bids_database_wipe",
        "",
        "make the index in --bids-database-dir anew",
        "flag",
    ),
    Option(
        ("--skip-bids-validation",),
        "skip_bids_validation",
        "",
        "accepted; no validator is run, so there is nothing to skip "
        "(dataset_description.json is always checked)",
        "flag",
    ),
)
