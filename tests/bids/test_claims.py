"""Two processes and one claim."""

import os
import signal
import subprocess
import sys

import pytest

from bids_harmonize.bids import claims as claims_module
from bids_harmonize.bids.claims import CLAIMS_FILE, Claims
from bids_harmonize.errors import BusyError

HOLDER = """
import sys
from pathlib import Path
from bids_harmonize.bids.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take("sub-01"), claims.share("run"), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds ``sub-01`` alone and ``run`` with others."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "True True\n"
        yield process
        process.kill()


def test_what_another_process_claims_is_refused_with_its_id(other, tmp_path):
    with Claims(tmp_path) as claims:
        assert not claims.take("sub-01")
        assert claims.holder("sub-01") == other.pid
        assert claims.take("sub-02")
        assert claims.holder("sub-02") is None


def test_a_shared_claim_keeps_off_only_who_wants_it_alone(other, tmp_path):
    with Claims(tmp_path) as claims:
        assert claims.share("run")
        assert not claims.take("run")
        assert claims.share("run")


def test_a_killed_process_holds_nothing(other, tmp_path):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with Claims(tmp_path) as claims:
        assert claims.take("sub-01")
        assert claims.take("run")


def test_holding_waits_and_then_says_who_is_busy(other, tmp_path, monkeypatch):
    monkeypatch.setattr(claims_module, "WAIT_S", 0.1)
    with (
        Claims(tmp_path) as claims,
        pytest.raises(BusyError, match=f"sub-01 is held by process {other.pid}"),
        claims.holding("sub-01"),
    ):
        pass


def test_what_was_held_is_free_after_the_block(tmp_path):
    with Claims(tmp_path) as claims:
        with claims.holding("table"):
            pass
        command = [sys.executable, "-c", HOLDER.replace("sub-01", "table"), str(tmp_path)]
        done = subprocess.run(command, input="\n", capture_output=True, text=True, check=True)
        assert done.stdout == "True True\n"


def test_the_file_is_never_empty(tmp_path):
    with Claims(tmp_path):
        pass
    assert (tmp_path / CLAIMS_FILE).read_text().startswith("Running jobs")
