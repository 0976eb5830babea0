from pathlib import Path

import pytest

from bids_harmonize.phantom.command import main


def test_the_help_lists_presets_and_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    presets = ("default", "hard", "mixed", "null", "cue")
    for word in (*presets, "subtypes", "frontotemporal", "hippocampus"):
        assert word in text


def test_it_writes_a_study_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bids"
    options = ["--sites", "1", "--per-site", "1", "--travelling", "0", "--resolution", "6", "-q"]
    assert main([str(out), *options]) == 0
    assert capsys.readouterr().out == (
        f"1 scans of 1 participants at 1 sites in {out}; truth in {tmp_path / 'bids-truth'}\n"
    )
    assert (out / "sub-A001" / "anat" / "sub-A001_T1w.nii.gz").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sites", "0"], "sites: found 0; expected 1 to 26"),
        (["--resolution", "9"], "resolution: found 9 mm; expected 1 to 6"),
        (["--disorder", "single"], "--disorder needs --cases"),
    ],
)
def test_wrong_values_exit_with_2_and_name_the_option(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "bids"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "bids").exists()


def test_an_unknown_preset_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "bids"), "--preset", "soft"])
    assert caught.value.code == 2
    assert "invalid choice: 'soft'" in capsys.readouterr().err


def test_a_foreign_folder_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main([str(tmp_path)]) == 2
    assert "not empty and no phantom study" in capsys.readouterr().err
