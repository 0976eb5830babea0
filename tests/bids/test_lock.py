import json
import os
import socket
import subprocess

import pytest

from bids_harmonize.bids.lock import LOCK_NAME, BatchJob, group_lock
from bids_harmonize.errors import BusyError, OutputError


def leave_lock(folder, *, host, pid, **more):
    (folder / LOCK_NAME).write_text(json.dumps({"host": host, "pid": pid, **more}))


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_second_run_is_told_to_come_back(tmp_path):
    with group_lock(tmp_path), pytest.raises(BusyError, match="another group run"):
        group_lock(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    leave_lock(tmp_path, host=socket.gethostname(), pid=dead_pid())
    with group_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).exists()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_host_is_respected(tmp_path):
    leave_lock(tmp_path, host="elsewhere", pid=1)
    with pytest.raises(BusyError, match="process 1 on elsewhere"), group_lock(tmp_path):
        pass
    assert (tmp_path / LOCK_NAME).exists()


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_a_job_that_was_queued_again_takes_its_own_lock_over(tmp_path, host):
    leave_lock(tmp_path, host=host, pid=os.getpid(), job="cluster 7", start=1)
    for other in (None, BatchJob("cluster 8", 2), BatchJob("cluster 7", 1)):
        with pytest.raises(BusyError), group_lock(tmp_path, other):
            pass
    with group_lock(tmp_path, BatchJob("cluster 7", 2)):
        holder = json.loads((tmp_path / LOCK_NAME).read_text())
        assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
        assert (holder["job"], holder["start"]) == ("cluster 7", 2)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_lock_holds_nothing(tmp_path):
    (tmp_path / LOCK_NAME).touch()
    with group_lock(tmp_path):
        pass


def test_a_lock_needs_a_folder(tmp_path):
    with pytest.raises(OutputError), group_lock(tmp_path / "nowhere"):
        pass
