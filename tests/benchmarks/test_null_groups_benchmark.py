"""The benchmark of groups that do not differ: a small run of it."""

import numpy as np
import pytest

from tests.benchmarks.bench_null_groups import ask, main, summary


def test_an_arm_is_asked_and_told_in_one_line(tmp_path):
    told = ask(tmp_path, 0, n_per_site=30)
    assert set(told) == {"raw", "covariate", "combat"}
    assert not list(tmp_path.glob("*.tsv"))
    lines = summary([told, told])
    assert lines[0].startswith("raw: AUC mean 0.")
    assert "uniform" in lines[2]


@pytest.mark.slow
def test_nothing_is_claimed_where_nothing_differs(tmp_path, capsys):
    main(["--folder", str(tmp_path), "--repeats", "20"])
    main(["--folder", str(tmp_path), "--repeats", "20"])  # resumes
    printed = capsys.readouterr().out.splitlines()
    assert printed[:4] == printed[4:]
    assert len((tmp_path / "repeats.jsonl").read_text().splitlines()) == 20
    for arm in ("covariate", "combat"):
        line = next(line for line in printed if line.startswith(f"{arm}:"))
        assert float(line.split("AUC mean ")[1].split(",")[0]) == pytest.approx(0.5, abs=0.05)
        assert float(line.split("features with p < 0.05: ")[1].split(";")[0]) < 0.09
    assert np.isfinite(float(printed[1].split("AUC mean ")[1].split(",")[0]))
