"""The command line on a small raw dataset, with stand-ins for the work itself."""

import pytest

from bids_harmonize.cli.main import main
from tests.bids.trees import two_sites, write_derivative, write_raw
from tests.cli.standins import install

PEOPLE = "participant_id\tsite\n" + "".join(
    f"{stem}\t{site}\n" for stem, site in two_sites().items()
)


@pytest.fixture
def calls(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", two_sites(), participants=PEOPLE)


@pytest.fixture
def run(tmp_path, raw, capsys):
    def run(*words, levels=("participant",), bids_dir=raw, output_dir=tmp_path / "out"):
        code = main([str(bids_dir), str(output_dir), *levels, "--nprocs", "1", *words])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        run.last = written.err.strip().splitlines()[-1]
        return code

    return run


@pytest.fixture
def out(tmp_path):
    return write_derivative(tmp_path / "out", two_sites())
