from bids_harmonize.cli.environment import find_container, find_job


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


def test_the_job_of_a_scheduler_knows_how_often_it_was_started():
    assert find_job({}) is None
    assert find_job({"SLURM_JOB_ID": "no number"}) is None
    first = find_job({"SLURM_JOB_ID": "12", "SLURM_CLUSTER_NAME": "c"})
    assert (first.job, first.start) == ("c 12", 0)
    assert find_job({"SLURM_JOB_ID": "12", "SLURM_RESTART_COUNT": "3"}).start == 3
