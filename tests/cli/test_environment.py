from bids_harmonize.cli.environment import find_container


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
