import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bids_harmonize.bids.index import index_scans
from bids_harmonize.bids.layout import INDEX_FILE, STATE_FILE, IndexFolder, remove_index
from bids_harmonize.config import SelectionSettings
from bids_harmonize.errors import OutputError, UsageError
from tests.bids.trees import write_raw, write_volume

STEMS = ["sub-01_ses-A", "sub-01_ses-B_acq-mprage", "sub-02"]


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", STEMS)


@pytest.fixture
def index(tmp_path):
    return IndexFolder(tmp_path / "database" / "raw")


def stems(raw, index=None, **selection):
    return [
        scan.stem
        for scan in index_scans(raw, selection=SelectionSettings(**selection), index=index)
    ]


def files(folder):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"participant_label": ("02",)},
        {"session_label": ("B",)},
        {"bids_filter": {"t1w": {"acquisition": "mprage"}}},
    ],
)
def test_the_index_answers_as_the_folders_do(raw, index, selection, monkeypatch):
    told = stems(raw, **selection)
    assert stems(raw, index, **selection) == told
    monkeypatch.setattr("bids_harmonize.bids.layout._read_folders", None)  # would raise
    assert stems(raw, index, **selection) == told


def test_one_job_for_one_participant_makes_the_index_of_everybody(raw, index, monkeypatch):
    assert stems(raw, index, participant_label=("01",)) == STEMS[:2]
    monkeypatch.setattr("bids_harmonize.bids.layout._read_folders", None)
    assert stems(raw, index) == STEMS


def test_an_index_that_stands_is_never_written(raw, index):
    stems(raw, index)
    before = files(index.path)
    assert set(before) == {INDEX_FILE, STATE_FILE}
    stems(raw, index, bids_filter={"t1w": {"session": "A"}})
    assert files(index.path) == before


@pytest.mark.parametrize("change", ["new scan", "new session", "gone"])
def test_an_index_older_than_the_dataset_is_not_believed(raw, index, change, caplog):
    stems(raw, index)
    if change == "gone":
        next((raw / "sub-02/anat").iterdir()).unlink()
        (raw / "sub-02/anat").rmdir()
    else:
        stem = "sub-02_run-2" if change == "new scan" else "sub-01_ses-C"
        folder = "sub-02/anat" if change == "new scan" else "sub-01/ses-C/anat"
        write_volume(raw / folder / f"{stem}_T1w.nii.gz")
    assert stems(raw, index) == stems(raw)
    assert "older than the dataset" in caplog.text
    assert "--bids-database-wipe" in caplog.text
    caplog.clear()
    other = "01" if change != "new session" else "02"
    stems(raw, index, participant_label=(other,))  # whose folders are as they were
    assert "older" not in caplog.text
    remove_index(index.path)
    assert stems(raw, index) == stems(raw)
    assert "older" not in caplog.text


def test_a_dry_run_makes_no_index(raw, tmp_path):
    folder = tmp_path / "database" / "raw"
    assert stems(raw, IndexFolder(folder, may_write=False)) == STEMS
    assert not folder.parent.exists()


def test_the_index_of_another_dataset_is_refused(raw, index, tmp_path):
    stems(raw, index)
    other = write_raw(tmp_path / "other", ["sub-01"])
    with pytest.raises(UsageError, match=r"is the index of .*raw, not of .*other"):
        stems(other, index)


def test_a_folder_with_something_else_in_it_is_neither_read_nor_wiped(raw, index):
    index.path.mkdir(parents=True)
    (index.path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds no index of bids-harmonize"):
        stems(raw, index)
    with pytest.raises(UsageError, match="nothing was deleted"):
        remove_index(index.path)
    assert (index.path / "thesis.txt").exists()


def test_a_damaged_index_is_told_and_the_folders_are_read(raw, index, caplog):
    stems(raw, index)
    (index.path / INDEX_FILE).write_bytes(b"no database")
    assert stems(raw, index) == STEMS
    assert "cannot be read" in caplog.text


def test_a_place_that_cannot_be_written_is_told(raw, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        stems(raw, IndexFolder(tmp_path / "file" / "raw"))


def test_a_job_that_comes_second_with_its_index_takes_its_own_away(raw, index, monkeypatch):
    from bids_harmonize.bids import layout

    inner = layout._read_folders

    def slow(*words, **more):
        monkeypatch.setattr(layout, "_read_folders", inner)
        stems(raw, index)  # another job makes the index meanwhile
        return inner(*words, **more)

    monkeypatch.setattr(layout, "_read_folders", slow)
    assert stems(raw, index) == STEMS
    assert [path.name for path in index.path.parent.iterdir()] == ["raw"]
    assert json.loads((index.path / STATE_FILE).read_text())["Root"] == str(raw)


@pytest.mark.slow  # 6 processes that import pybids: 12 s
def test_six_processes_make_one_index_at_once(raw, index):
    code = (
        "import sys; from pathlib import Path\n"
        "from bids_harmonize.bids.index import index_scans\n"
        "from bids_harmonize.bids.layout import IndexFolder\n"
        "from bids_harmonize.config import SelectionSettings\n"
        "scans = index_scans(Path(sys.argv[1]), selection=SelectionSettings(),\n"
        "                    index=IndexFolder(Path(sys.argv[2])))\n"
        "print(*(scan.stem for scan in scans))"
    )
    words = [sys.executable, "-c", code, str(raw), str(index.path)]
    with ThreadPoolExecutor(6) as pool:
        jobs = list(
            pool.map(lambda _: subprocess.run(words, capture_output=True, text=True), range(6))
        )
    assert [job.returncode for job in jobs] == [0] * 6, jobs[0].stderr
    assert {job.stdout.strip() for job in jobs} == {" ".join(STEMS)}
    assert [path.name for path in index.path.parent.iterdir()] == ["raw"]
