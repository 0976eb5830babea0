"""Every option does something, and a test says what: this table names it.

A new option without a row here fails, and so does a row whose test is gone or speaks of
something else.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from bids_harmonize.cli.options import GROUPS

TESTS = Path(__file__).parents[1]
OPTIONS = {option.key: option for options in GROUPS.values() for option in options}

BIDS, CLI, PREP, STAGES = "bids/test_", "cli/test_", "preprocessing/test_", "stages/test_"

EFFECTS = {
    "selection.participant_label": (f"{BIDS}index", "selection_keeps_what_it_names"),
    "selection.session_label": (f"{BIDS}index", "selection_keeps_what_it_names"),
    "bids_filter_file": (f"{CLI}request", "filters_are_read_from_the_file"),
    "selection.derivatives": (f"{CLI}main", "given_brain_masks_are_listed_linked_and_missed"),
    "selection.dataset": (f"{CLI}datasets", "a_label_of_two_datasets_is_65_before_any_work"),
    "selection.label_prefix": (
        *(f"{CLI}datasets", "prefixed_people_are_processed_beside_the_others"),
    ),
    "selection.same_participants": (
        *(f"{BIDS}raw_datasets", "one_person_of_two_datasets_is_travelling"),
    ),
    "selection.bids_database_dir": (
        *(f"{CLI}datasets", "the_index_is_made_once_for_each_dataset_and_anew_when_wiped"),
    ),
    "bids_database_wipe": (
        *(f"{CLI}datasets", "the_index_is_made_once_for_each_dataset_and_anew_when_wiped"),
    ),
    "skip_bids_validation": (f"{CLI}request", "words_without_effect_change_no_setting"),
    "site.site_source": (f"{BIDS}sites", "a_source_that_is_asked_for_is_asked_alone"),
    "site.site_key": (f"{BIDS}sites", "keys_name_columns_in_any_case_and_are_joined"),
    "site.site_from_session": (f"{BIDS}sites", "the_site_is_cut_out_of_the_session_label"),
    "site.site_map": (f"{CLI}main", "the_site_map_helps_the_group_level"),
    "site.reference_site": (
        *(
            f"{BIDS}study",
            "the_reference_is_the_largest_site_ties_alphabetical_or_the_one_asked_for",
        ),
    ),
    "site.min_per_site": (f"{BIDS}study", "a_site_as_large_as_asked_for_trains"),
    "site.hold_out_travelling": (
        *(f"{BIDS}study", "travelling_people_alone_train_only_if_some_are_held_out"),
    ),
    "preprocessing.resolution_mm": (
        *(f"{PREP}run", "the_grid_has_the_voxels_and_the_shape_that_were_asked_for"),
    ),
    "preprocessing.grid_shape": (
        *(f"{PREP}run", "the_grid_has_the_voxels_and_the_shape_that_were_asked_for"),
    ),
    "preprocessing.bias_correction": (f"{PREP}options", "n4_finds_a_strong_coil_field"),
    "preprocessing.brain_mask": (
        *(f"{PREP}options", "the_mask_of_another_program_is_brought_to_the_study_grid"),
    ),
    "preprocessing.tissue": (
        *(f"{PREP}options", "without_tissue_the_transform_is_affine_and_the_rest_is_equal"),
    ),
    "group.stages": (f"{CLI}main", "a_stage_that_cannot_run_is_skipped_by_default_and_65_by_name"),
    "group.harmonizer": (
        *(f"{STAGES}harmonize", "another_harmonizer_is_refused_until_overwriting_is_asked_for"),
    ),
    "harmonizer.generator": (
        *(
            "harmonizers/test_residual",
            "the_card_says_that_it_can_draw_where_the_other_says_that_it_cannot",
        ),
    ),
    "group.sources": (
        *(f"{STAGES}harmonize_joint", "the_model_is_joint_and_the_baselines_are_not"),
    ),
    "group.network_resolution_mm": (
        *(
            f"{STAGES}harmonize",
            "generators_train_at_3_mm_on_a_cpu_and_never_finer_than_the_study",
        ),
    ),
    "group.sub_boxes": (
        f"{STAGES}harmonize",
        "a_study_trained_on_sub_boxes_learns_sharpening_and_is_fitted_anew",
    ),
    "group.case_network": (f"{STAGES}disorder_images", "a_network_is_asked_where_it_is_wanted"),
    "group.effort": (f"{STAGES}classify_features", "quick_shuffles_one_fold_and_says_so"),
    "group.folds": (
        *(
            f"{STAGES}classify_features",
            "other_people_do_not_change_a_prediction_of_their_own_fold",
        ),
    ),
    "group.group_column": (f"{CLI}group_column", "the_stages_get_a_study_fitted_on_controls"),
    "group.control_label": (f"{CLI}group_column", "what_cannot_be_told_gives_2_before_any_work"),
    "group.case_label": (
        f"{STAGES}disorder",
        "people_who_cannot_be_compared_are_left_out_with_the_reason",
    ),
    "group.covariates": (f"{STAGES}disorder", "covariates_are_those_that_were_asked_for"),
    "group.compare_map": (
        *(f"{STAGES}disorder", "a_published_map_is_correlated_over_shared_regions"),
    ),
    "group.overwrite_harmonized": (
        *(f"{STAGES}harmonize", "another_harmonizer_is_refused_until_overwriting_is_asked_for"),
    ),
    "group.model_dir": (
        *(f"{STAGES}harmonize_apply", "both_levels_write_the_very_file_of_the_run_that_trained"),
    ),
    "group.features": (f"{STAGES}features", "the_option_features_reads_an_arm_of_the_table"),
    "group.feature_columns": (
        f"{STAGES}features",
        "the_option_features_reads_an_arm_of_the_table",
    ),
    "group.atlas": (f"{STAGES}parcel_features", "a_users_atlas_takes_their_place"),
    "group.export_card": (
        *(f"{STAGES}harmonize_card", "the_card_folder_holds_numbers_description_and_readme"),
    ),
    "group.card_noise": (
        *("harmonizers/test_card", "noise_is_as_large_as_asked_for_and_leaves_histograms"),
    ),
    "group.card_licence": (f"{STAGES}harmonize_card", "a_card_without_licence_is_a_warning"),
    "group.reference_card": (
        *(
            f"{STAGES}harmonize_card",
            "one_local_site_is_harmonized_and_own_scans_of_the_reference_are_scaled",
        ),
    ),
    "group.judge": (
        *(f"{CLI}judge", "a_folder_without_images_ends_the_run_with_66_before_any_stage"),
    ),
    "resources.device": ("training/test_runtime", "a_cuda_device_that_does_not_exist_is_named"),
    "resources.devices": ("training/test_crew", "two_processes_train_a_pair_as_one_does"),
    "resources.precision": (
        *(
            "training/test_runtime",
            "the_classifier_keeps_the_precision_on_the_cpu_and_where_it_was_wished",
        ),
    ),
    "resources.nprocs": ("training/test_runtime", "networks_use_as_many_threads_as_asked_for"),
    "resources.omp_nthreads": (
        f"{CLI}environment",
        "libraries_are_told_how_many_threads_to_start",
    ),
    "mem": (f"{CLI}request", "memory_has_units_and_a_bare_number_is_mb"),
    "resources.mem_gb": (f"{PREP}plugin", "no_more_nodes_run_at_once_than_fit_into_memory"),
    "resources.low_mem": (f"{PREP}plugin", "low_mem_works_on_one_scan_at_a_time"),
    "resources.plugin_file": (f"{PREP}plugin", "the_plugin_file_wins"),
    "run.work_dir": (f"{CLI}work_dir", "the_work_directory_is_the_one_that_was_named"),
    "clean_workdir": (f"{CLI}work_dir", "only_an_own_work_directory_is_emptied"),
    "config_file": (
        *(f"{CLI}request", "the_command_line_overrides_the_file_and_the_file_the_defaults"),
    ),
    "dry_run": (
        *(f"{CLI}dry_run", "a_dry_run_prints_scans_sites_and_outputs_and_writes_nothing"),
    ),
    "run.resume": (f"{PREP}resume", "changed_settings_or_no_resume_do_it_again"),
    "reports_only": (f"{CLI}dry_run", "pages_alone_are_written_without_raw_data"),
    "boilerplate_only": (f"{CLI}dry_run", "methods_alone_are_written_without_raw_data"),
    "run.stop_on_first_crash": (
        *(f"{PREP}failures", "the_first_crash_stops_the_run_where_this_is_wanted"),
    ),
    "run.random_seed": (
        *(f"{STAGES}disorder", "the_seed_fixes_everything_and_the_order_of_rows_nothing"),
    ),
    "notrack": (f"{CLI}request", "words_without_effect_change_no_setting"),
    "verbose": (f"{CLI}environment", "more_is_said_when_more_is_asked_for"),
}
"""Key of an option to the file and the test that shows its effect."""

SPOKEN = {"group.case_label": "case_label", "run.random_seed": "seed"}
"""What the test's file calls a setting where it is neither the key nor an option."""


def test_every_option_has_a_test_of_its_effect_and_every_row_an_option():
    assert set(OPTIONS) - set(EFFECTS) == set(), "an option without a test of its effect"
    assert set(EFFECTS) - set(OPTIONS) == set(), "a row without an option"


@cache
def functions(file: str) -> dict[str, str]:
    """Name of every test of a file to its text; the whole file's text under the empty name."""
    text = (TESTS / f"{file}.py").read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {"": text, **{node.name: ast.get_source_segment(text, node) or "" for node in nodes}}


@pytest.mark.parametrize("key", EFFECTS)
def test_the_test_of_an_effect_exists_and_its_file_speaks_of_the_option(key):
    file, name = EFFECTS[key]
    found = functions(file)
    assert f"test_{name}" in found
    words = {key.rpartition(".")[2], SPOKEN.get(key, key), *OPTIONS[key].names}
    assert any(word in found[""] for word in words)
