import logging
import os

import pytest

from bids_harmonize.cli.environment import (
    THREAD_VARIABLES,
    find_container,
    find_job,
    prepare_environment,
)
from bids_harmonize.cli.logs import run_log
from bids_harmonize.cli.parser import parse
from bids_harmonize.cli.request import make_request


def test_outside_containers_there_is_none(tmp_path):
    assert find_container({}, root=tmp_path) == {}


def test_containers_are_told_apart(tmp_path):
    assert find_container({"APPTAINER_CONTAINER": "x.sif"}, root=tmp_path) == {
        "Type": "singularity"
    }
    (tmp_path / ".dockerenv").touch()
    assert find_container({"BIDS_HARMONIZE_TAG": "a:1"}, root=tmp_path) == {
        "Type": "docker",
        "Tag": "a:1",
    }


def test_podman_leaves_no_file_where_the_root_is_read_only(tmp_path):
    assert find_container({"container": "podman"}, root=tmp_path) == {"Type": "docker"}
    assert find_container({"container": "lxc"}, root=tmp_path) == {}


def test_libraries_are_told_how_many_threads_to_start(monkeypatch, tmp_path):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    prepare_environment(make_request(parse(["-", "out", "group", "--omp-nthreads", "3"])))
    assert [os.environ[name] for name in THREAD_VARIABLES] == ["3", "3"]


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        ([], {"ours": False, "theirs": False}),
        (["-v"], {"ours": True, "theirs": False}),
        (["-vv"], {"ours": True, "theirs": True}),
        (["--verbose", "--verbose"], {"ours": True, "theirs": True}),
    ],
)
def test_more_is_said_when_more_is_asked_for(words, heard, capsys):
    request = make_request(parse(["-", "out", "group", *words]))
    with run_log(verbose=request.verbose):
        logging.getLogger("bids_harmonize.cli").debug("ours")
        logging.getLogger("nipype").debug("theirs")
    said = capsys.readouterr().err
    assert {name: name in said for name in heard} == heard


def test_the_job_of_a_scheduler_knows_how_often_it_was_started():
    assert find_job({}) is None
    assert find_job({"SLURM_JOB_ID": "no number"}) is None
    first = find_job({"SLURM_JOB_ID": "12", "SLURM_CLUSTER_NAME": "c"})
    assert (first.job, first.start) == ("c 12", 0)
    assert find_job({"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "3"}).start == 3
