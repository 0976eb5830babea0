"""What stands in ``logs/CITATION.md``."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from bids_harmonize.config import PreprocessingSettings
from bids_harmonize.errors import MissingInputError
from bids_harmonize.report.citation import cite_participant_level
from bids_harmonize.report.group_citation import cite_group_level
from tests.report.group_fixture import write_group, write_participants


def cite(output_dir, *, derivatives=(), **settings):
    values = asdict(PreprocessingSettings(**settings))
    return cite_participant_level(output_dir, values, derivatives=derivatives)


def test_every_number_has_its_reference_and_every_reference_a_number(tmp_path):
    text = cite(tmp_path, bias_correction="n4").read_text()
    words, _, listed = text.partition("### References")
    numbers = [line.partition(".")[0] for line in listed.strip().splitlines()]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    assert len(numbers) == 9
    assert all(f"[{number}]" in words for number in numbers)
    assert f"[{len(numbers) + 1}]" not in words


@pytest.mark.parametrize(
    ("settings", "there", "absent"),
    [
        ({"bias_correction": "ants"}, "with ANTs' N4", "SimpleITK's N4"),
        ({"brain_mask": "bet"}, "10.1002/hbm.10062", "from many starts"),
        ({"brain_mask": "none"}, "doi:10.3389/fninf.2013.00045", "demons"),
        ({"tissue": False}, "from many starts", "demons"),
        ({"resolution_mm": 2.5}, "2.5 mm isotropic", "1 mm isotropic"),
        ({"derivatives": ("smriprep",)}, "Brain masks were taken from smriprep", "SynthStrip"),
    ],
)
def test_only_what_the_settings_do_is_described(tmp_path, settings, there, absent):
    text = cite(tmp_path, **settings).read_text()
    assert there in text
    assert absent not in text


def test_each_level_writes_its_own_section_and_only_where_it_changes(tmp_path):
    write_participants(tmp_path)
    write_group(tmp_path)
    path = cite_group_level(tmp_path)
    group = path.read_text().partition("## Group level")[2]
    assert "cycle-consistent adversarial network" in group
    assert "doi:10.1109/ICCV.2017.244" in group
    assert cite(tmp_path) == path
    both = path.read_text()
    assert both.endswith(group)
    assert both.index("## Participant level") < both.index("## Group level")
    before = path.stat().st_ino
    cite(tmp_path)
    cite_group_level(tmp_path)
    assert (path.read_text(), path.stat().st_ino) == (both, before)
    cite(tmp_path, tissue=False)
    assert "demons" not in path.read_text()
    assert path.read_text().endswith(group)
    assert list(path.parent.glob(".tmp-*")) == []


def test_generators_that_draw_are_not_said_to_leave_anatomy_alone(tmp_path):
    write_participants(tmp_path)
    write_group(tmp_path)
    assert "cannot draw anatomy" in cite_group_level(tmp_path).read_text()
    (model,) = (tmp_path / "models").glob("cyclegan_to-*/model.json")
    content = json.loads(model.read_text()) | {"settings": {"generator": "residual"}}
    model.write_text(json.dumps(content))
    words = cite_group_level(tmp_path).read_text()
    assert "can draw and erase structure" in words
    assert "cannot draw anatomy" not in words
    assert "local-histogram losses" not in words


def test_a_file_of_other_words_is_replaced(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/CITATION.md").write_bytes(b"## Notes\n\xff")
    assert "Notes" not in cite(tmp_path).read_text()


def test_a_group_level_without_outputs_has_nothing_to_say(tmp_path):
    with pytest.raises(MissingInputError):
        cite_group_level(tmp_path)


def test_a_participant_job_loads_no_group_page():
    """What group pages need would double the start of each of thousands of jobs."""
    code = (
        "import sys\n"
        "import bids_harmonize.cli.participant, bids_harmonize.preprocessing.run\n"
        "import bids_harmonize.report.citation, bids_harmonize.report.participant\n"
        "heavy = {'sklearn', 'torch', 'bids_harmonize.report.group_about'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
