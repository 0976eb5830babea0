"""Every option of the command line as one row; the parser takes ``_`` for ``-`` in any of them.

Values stay text here. ``config`` checks them together with the TOML file, so that all faults come
in one message.
"""

from bids_harmonize.cli.group_options import GROUP_LEVEL
from bids_harmonize.cli.option import Option
from bids_harmonize.cli.selection_options import WHICH_SCANS

GROUPS: dict[str, tuple[Option, ...]] = {
    "which scans": WHICH_SCANS,
    "site of a scan": (
        Option(
            ("--site-source",),
            "site.site_source",
            "{auto,participants,sessions,scans,session-label,metadata}",
            "where the site is read; auto asks scans.tsv, sessions.tsv, participants.tsv and the "
            "sidecar in this order (default: auto)",
        ),
        Option(
            ("--site-key",),
            "site.site_key",
            "NAME",
            "columns or sidecar keys that name the site; several are joined",
            "many",
        ),
        Option(
            ("--site-from-session",),
            "site.site_from_session",
            "REGEX",
            "read the site from the session label, for instance 'Y1(?P<site>[A-Z]+)'",
        ),
        Option(
            ("--site-map",),
            "site.site_map",
            "TSV",
            "table with participant_id, optionally session_id or filename, and site; "
            "overrides all else",
        ),
        Option(
            ("--reference-site",),
            "site.reference_site",
            "NAME",
            "site to harmonize to; the word median is a virtual one, the median of all sites, by "
            "localhistogram (default: most participants to train on, ties alphabetical)",
        ),
        Option(
            ("--min-per-site",),
            "site.min_per_site",
            "N",
            "sites with fewer participants to train on take no part (default: 5)",
        ),
        Option(
            ("--hold-out-travelling",),
            "site.hold_out_travelling",
            "N",
            "keep N travelling subjects for the proof and train on the others "
            "(default: 0, none of them trains)",
        ),
    ),
    "participant level": (
        Option(
            ("--resolution",),
            "preprocessing.resolution_mm",
            "MM",
            "voxel size of the study grid, 0.5 to 6, one for all sites (default: 1)",
        ),
        Option(
            ("--grid-shape",),
            "preprocessing.grid_shape",
            "N",
            "voxels of the study grid, three numbers (default: 192 x 224 x 192 mm, multiples of "
            "8)",
            "three",
        ),
        Option(
            ("--bias-correction",),
            "preprocessing.bias_correction",
            "{none,n4,ants}",
            "take the coil's smooth field out of the preprocessed image: n4 by SimpleITK, ants by "
            "the program N4BiasFieldCorrection (default: none)",
        ),
        Option(
            ("--brain-mask",),
            "preprocessing.brain_mask",
            "{template,none,bet,synthstrip}",
            "how the brain is found; bet and synthstrip are programs of FSL and FreeSurfer that "
            "must be installed (default: template)",
        ),
        Option(
            ("--tissue",),
            "preprocessing.tissue",
            "",
            "write tissue maps and the deformation to the template; --no-tissue leaves them out, "
            "and the transform to the template is affine (default: --tissue)",
            "switch",
        ),
    ),
    "group level": GROUP_LEVEL,
    "resources": (
        Option(
            ("--device",),
            "resources.device",
            "{auto,cpu,cuda,cuda:N}",
            "where networks run (default: auto)",
        ),
        Option(
            ("--devices",),
            "resources.devices",
            "N",
            "GPUs, or processes on a CPU, that train generators together; torchrun and srun start "
            "as many as they are told to (default: 1, or what these started)",
        ),
        Option(
            ("--precision",),
            "resources.precision",
            "{auto,32-true,bf16-mixed,16-mixed}",
            "number format of the networks (default: auto)",
        ),
        Option(
            ("--nprocs", "--nthreads", "--n-cpus"),
            "resources.nprocs",
            "N",
            "processors to use (default: all)",
        ),
        Option(
            ("--omp-nthreads",),
            "resources.omp_nthreads",
            "N",
            "threads of one process (default: 1)",
        ),
        Option(
            ("--mem", "--mem-mb"),
            "mem",
            "SIZE",
            "memory to use, for instance 16GB or 16000MB; a bare number is MB (default: nine "
            "tenths of what the machine has, or the container or job may use)",
        ),
        Option(("--mem-gb",), "resources.mem_gb", "N", "the same in GB"),
        Option(
            ("--low-mem",),
            "resources.low_mem",
            "",
            "one process at a time, so that the memory of one scan or network is enough; classify "
            "and harmonize keep the threads of --nprocs",
            "flag",
        ),
        Option(
            ("--use-plugin", "--nipype-plugin-file"),
            "resources.plugin_file",
            "YAML",
            "nipype plugin and its arguments (default: MultiProc, Linear for one process)",
        ),
    ),
    "run": (
        Option(
            ("-w", "--work-dir"),
            "run.work_dir",
            "DIR",
            "for what lies between the steps (default: OUTPUT_DIR/.work)",
        ),
        Option(
            ("--clean-workdir",),
            "clean_workdir",
            "",
            "empty the work directory before the run; only one that this app made",
            "flag",
        ),
        Option(
            ("--config-file",),
            "config_file",
            "TOML",
            "settings; the command line overrides them. Every run writes its own to logs/",
        ),
        Option(
            ("--dry-run",),
            "dry_run",
            "",
            "print the scans with their sites and the outputs to come, and stop",
            "flag",
        ),
        Option(
            ("--resume",),
            "run.resume",
            "",
            "use what an earlier run has finished; --no-resume does all again (default: --resume)",
            "switch",
        ),
        Option(("--reports-only",), "reports_only", "", "write the pages again", "flag"),
        Option(
            ("--boilerplate-only",),
            "boilerplate_only",
            "",
            "write the methods and references to logs/CITATION.md, and stop",
            "flag",
        ),
        Option(
            ("--stop-on-first-crash",),
            "run.stop_on_first_crash",
            "",
            "stop when a scan fails (default: do the others)",
            "flag",
        ),
        Option(("--random-seed",), "run.random_seed", "N", "fixes all randomness (default: 0)"),
        Option(
            ("--notrack",), "notrack", "", "accepted; there is no telemetry to switch off", "flag"
        ),
        Option(("-v", "--verbose"), "verbose", "", "say more; -vv says all", "count"),
    ),
}
"""Heading of the help text to its options."""

SETTING_OPTIONS = {
    option.key: next(name for name in option.names if name.startswith("--"))
    for options in GROUPS.values()
    for option in options
    if "." in option.key
}
"""Setting to the option that sets it."""
