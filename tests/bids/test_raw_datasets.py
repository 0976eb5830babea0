import json

import pytest

from bids_harmonize.bids.dataset import prepare_output
from bids_harmonize.bids.people import write_participants
from bids_harmonize.bids.raw_datasets import (
    RawDataset,
    check_datasets,
    index_datasets,
    raw_datasets,
    resolve_dataset_sites,
)
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import SelectionSettings, SiteSettings
from bids_harmonize.errors import MissingInputError, SelectionError, UnusableDataError
from tests.bids.trees import write_raw

OSLO = "participant_id\tsite\tage\nsub-01\tOslo\t20\nsub-02\tOslo\t30\n"
KYOTO = "participant_id\tsite\tage\tsex\nsub-01\tKyoto\t20\tF\nsub-03\tKyoto\t50\tM\n"


@pytest.fixture
def oslo(tmp_path):
    return write_raw(tmp_path / "oslo", ["sub-01_ses-A", "sub-02_ses-A"], participants=OSLO)


@pytest.fixture
def kyoto(tmp_path):
    return write_raw(tmp_path / "kyoto", ["sub-01_ses-B", "sub-03_ses-B"], participants=KYOTO)


def study(oslo, kyoto, **selection):
    chosen = SelectionSettings(dataset={"kyoto": str(kyoto)}, **selection)
    datasets = raw_datasets(oslo, chosen)
    return datasets, index_datasets(datasets, selection=chosen)


def test_a_label_in_two_datasets_stops_the_run_and_is_listed(oslo, kyoto):
    with pytest.raises(UnusableDataError) as raised:
        study(oslo, kyoto, participant_label=("03",))  # selected or not
    assert raised.value.exit_code == 65
    assert "  sub-01\traw, kyoto" in str(raised.value)
    assert "sub-03" not in str(raised.value)
    assert "--label-prefix" in str(raised.value)
    assert "--same-participants" in str(raised.value)


def test_a_prefix_makes_two_people_of_one_label_each_with_their_own_site(oslo, kyoto):
    datasets, scans = study(oslo, kyoto, label_prefix=True)
    scans = resolve_dataset_sites(scans, datasets, settings=SiteSettings())
    assert {scan.stem: (scan.site, scan.dataset) for scan in scans} == {
        "sub-01_ses-A": ("Oslo", "raw"),
        "sub-02_ses-A": ("Oslo", "raw"),
        "sub-kyoto01_ses-B": ("Kyoto", "kyoto"),
        "sub-kyoto03_ses-B": ("Kyoto", "kyoto"),
    }
    assert scans[2].source_stem == "sub-01_ses-B"
    mapped = resolve_dataset_sites(
        scans, datasets, settings=SiteSettings(), site_map={"sub-kyoto01": "X", "sub-01": "Y"}
    )
    assert [scan.site for scan in mapped] == ["Y", "Oslo", "X", "Kyoto"]


def test_one_person_of_two_datasets_is_travelling(oslo, kyoto):
    datasets, scans = study(oslo, kyoto, same_participants=True)
    scans = resolve_dataset_sites(scans, datasets, settings=SiteSettings())
    visits = {(scan.participant_id, scan.site) for scan in scans}
    assert {("sub-01", "Oslo"), ("sub-01", "Kyoto")} < visits
    assert len(scans) == 4


def test_scans_of_one_person_with_one_name_are_refused(oslo, tmp_path):
    twin = write_raw(tmp_path / "twin", ["sub-01_ses-A"])
    with pytest.raises(UnusableDataError, match="different labels") as raised:
        study(oslo, twin, same_participants=True)
    assert str(twin) in str(raised.value)
    assert str(oslo) in str(raised.value)


def test_a_prefix_that_makes_a_label_of_the_other_dataset_is_refused(kyoto, tmp_path):
    first = write_raw(tmp_path / "first", ["sub-kyoto03"])
    with pytest.raises(UnusableDataError, match="sub-kyoto03\traw, kyoto"):
        study(first, kyoto, label_prefix=True)


@pytest.mark.parametrize(
    ("labels", "sessions", "stems"),
    [
        (("kyoto01",), (), ["sub-kyoto01_ses-B"]),
        (("01", "kyoto03"), (), ["sub-01_ses-A", "sub-kyoto03_ses-B"]),
        ((), ("B",), ["sub-kyoto01_ses-B", "sub-kyoto03_ses-B"]),
    ],
)
def test_people_are_selected_by_their_labels_of_the_derivative(
    oslo, kyoto, labels, sessions, stems
):
    _, scans = study(
        oslo, kyoto, label_prefix=True, participant_label=labels, session_label=sessions
    )
    assert [scan.stem for scan in scans] == stems


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ({"participant_label": ("kyoto99",)}, "no participant kyoto99 in raw, kyoto"),
        ({"session_label": ("C",)}, "no session C"),
        ({"bids_filter": {"t1w": {"run": 9}}}, "filters leave no T1w image"),
    ],
)
def test_what_no_dataset_has_is_told(oslo, kyoto, selection, told):
    with pytest.raises(SelectionError, match=told):
        study(oslo, kyoto, label_prefix=True, **selection)


def test_a_dataset_without_images_is_no_fault_beside_one_with(oslo, tmp_path):
    empty = write_raw(tmp_path / "empty", [])
    (empty / "sub-09").mkdir()
    _, scans = study(oslo, empty)
    assert len(scans) == 2
    with pytest.raises(MissingInputError):
        study(empty, write_raw(tmp_path / "void", []))


def test_the_derivative_names_every_dataset_and_where_people_come_from(oslo, kyoto, tmp_path):
    datasets, scans = study(oslo, kyoto, label_prefix=True)
    out = tmp_path / "out"
    for scan in scans:
        (out / scan.participant_id).mkdir(parents=True)
    prepare_output(out, oslo, further=datasets[1:])
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetLinks"] == {"raw": "../oslo", "kyoto": "../kyoto"}
    assert [row["URL"] for row in description["SourceDatasets"]] == [oslo.as_uri(), kyoto.as_uri()]
    table = read_tsv(out / "participants.tsv").set_index("participant_id")
    assert list(table.index) == ["sub-01", "sub-02", "sub-kyoto01", "sub-kyoto03"]
    assert dict(table["source_dataset"]) == {
        "sub-01": "raw", "sub-02": "raw", "sub-kyoto01": "kyoto", "sub-kyoto03": "kyoto"
    }  # fmt: skip
    assert table.loc["sub-kyoto03", "source_participant_id"] == "sub-03"
    assert table.loc["sub-kyoto03", ["site", "age", "sex"]].tolist() == ["Kyoto", "50", "M"]
    assert "source_dataset" in json.loads((out / "participants.json").read_text())


def test_what_the_datasets_contradict_about_one_person_is_missing_and_told(
    oslo, kyoto, tmp_path, caplog
):
    datasets, scans = study(oslo, kyoto, same_participants=True)
    out = tmp_path / "out"
    for scan in scans:
        (out / scan.participant_id).mkdir(parents=True, exist_ok=True)
    write_participants(out, oslo, further=datasets[1:])
    table = read_tsv(out / "participants.tsv").set_index("participant_id")
    assert list(table.index) == ["sub-01", "sub-02", "sub-03"]
    assert table.loc["sub-01", "source_dataset"] == "raw kyoto"
    assert table.loc["sub-01", ["age", "sex"]].tolist() == ["20", "F"]
    assert table["site"].isna().tolist() == [True, False, False]
    assert "disagree about site of sub-01" in caplog.text
    assert "source_participant_id" not in table


def test_one_dataset_has_no_column_of_origin(oslo, tmp_path):
    (tmp_path / "out/sub-01").mkdir(parents=True)
    write_participants(tmp_path / "out", oslo)
    assert list(read_tsv(tmp_path / "out/participants.tsv")) == ["participant_id", "site", "age"]


def test_datasets_without_common_labels_need_no_option(oslo, tmp_path):
    other = write_raw(tmp_path / "other", ["sub-77"])
    check_datasets((RawDataset(oslo), RawDataset(other, "other")), same_participants=False)
