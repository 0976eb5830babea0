"""Tissue in the evaluation: from ``group_features.tsv`` to tables and answers."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.control_group import find_control_group
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import make_settings
from bids_harmonize.stages.evaluation.biology import ACROSS, NETWORK, Reading, Target
from bids_harmonize.stages.evaluation.tissue import judge_tissue
from bids_harmonize.stages.evaluation.tissue_verdict import BIOLOGY_KEPT, VOLUMES_ALIKE

FEATURES = ("gm_volume_ml", "wm_volume_ml", "csf_volume_ml")
TABLES = ("group_reliability", "group_biology")


class TissueStudy:
    """Two sites of 20 people, half of them patients, and six who travel; tissue follows age."""

    def __init__(self, folder, *, kept=1.0, sha256="abc"):
        rng = np.random.default_rng(0)
        visits = [(f"sub-{site}{n:02d}", site) for site in "AB" for n in range(20)]
        visits += [(f"sub-T{n}", site) for n in range(6) for site in "AB"]
        people = sorted({person for person, _ in visits})
        age = dict(zip(people, rng.uniform(20, 70, size=len(people)), strict=True))
        table = pd.DataFrame(
            {
                "age": pd.Series(age),
                "sex": ["f", "m"] * (len(people) // 2),
                "dx": [("hc", "sz")[(n // 2) % 2] for n in range(len(people))],
            }
        ).rename_axis("participant_id")
        group = find_control_group(table, column="dx", label=None, source="here")
        single = frozenset(person for person in people if "T" not in person)
        self.study = Study(
            output_dir=folder,
            scans=tuple(self.scan(folder, *visit) for visit in sorted(visits)),
            participants=table,
            trained_sites=("A", "B"),
            left_out={},
            travelling=frozenset(people) - single,
            eligible=single,
            reference_site="A",
            control_group=group,
            held_back=single - group.controls,
            grid_shape=(8, 8, 8),
            voxel_size_mm=6.0,
            scaling_mask="brain",
        )
        rows = []
        for person, site in sorted(visits):
            noise = rng.normal(0, [5, 5, 3])
            for arm, effect, shift in (("raw", 1.0, 40 * (site == "B")), ("harmonized", kept, 0)):
                year = effect * (age[person] - 45)
                case = -30.0 * (table.loc[person, "dx"] == "sz")
                seen = np.array([650, 500, 200]) + np.array([-2, 0.2, 1.5]) * year + noise
                cells = dict(zip(FEATURES, np.add(seen, [case + shift, 0, 0]), strict=True))
                key = {"filename": f"{person}_{site}", "participant_id": person}
                fit = {"session_id": None, "site": site, "arm": arm, "fit": None}
                rows.append({**key, **fit, **cells})
        path = folder / "group_features.tsv"
        pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")
        path.with_suffix(".json").write_text(json.dumps({"arm": {"ModelSha256": sha256}}))
        model = folder / "models/cyclegan_to-A/model.json"
        model.parent.mkdir(parents=True)
        model.write_text(json.dumps({"sha256": "abc"}))

    @staticmethod
    def scan(folder, person, site):
        return DerivedScan(
            stem=f"{person}_ses-{site}",
            participant_id=person,
            session_id=f"ses-{site}",
            site=site,
            site_source="sessions",
            usable=True,
            quality={},
            t1w=folder / f"{person}_{site}.nii.gz",
            head_mask=folder / "head.nii.gz",
            brain_mask=None,
        )

    def add_tool(self, name):
        """Rows of another tool, which does what the harmonizer does."""
        path = self.study.output_dir / "group_features.tsv"
        table = read_tsv(path)
        made = table[table["arm"] == "harmonized"].assign(arm=f"judge:{name}")
        pd.concat([table, made]).to_csv(path, sep="\t", index=False, na_rep="n/a")

    def judge(self, by_networks=(), foreign=()):
        tools = {name.removeprefix("judge:"): "somewhere" for name in foreign}
        group = {"harmonizer": "cyclegan", "judge": tools}
        settings = make_settings({"group": group}, source="test")
        context = SimpleNamespace(study=self.study, settings=settings)
        found = judge_tissue(context, by_networks, foreign=foreign)
        return found, {row["question"]: row for row in found.verdict}

    def age_by_network(self, method, *, error_years):
        """What a network says of everybody's age, wrong by about so much."""
        people = sorted(self.study.eligible)
        truth = self.study.participants.loc[people, "age"]
        noise = np.random.default_rng(1).normal(0, error_years, size=len(people))
        frame = pd.DataFrame({"site": [name[4] for name in people], "truth": truth})
        return Reading(
            method, Target("age", truth), ACROSS, frame.assign(predicted=truth + noise), NETWORK
        )


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    tissue = TissueStudy(tmp_path_factory.mktemp("tissue"))
    return tissue, *tissue.judge()


def test_volumes_come_together_and_nothing_is_lost(judged):
    _, _, answers = judged
    assert answers[VOLUMES_ALIKE]["answer"] == "yes"
    assert answers[VOLUMES_ALIKE]["value"] == pytest.approx(2.0, abs=0.6)
    assert answers[BIOLOGY_KEPT["age"]]["answer"] == "yes"
    assert answers[BIOLOGY_KEPT["group"]]["answer"] == "yes"
    assert "6 people" in answers[VOLUMES_ALIKE]["source"]


def test_what_tissue_does_not_show_cannot_be_kept(judged):
    row = judged[2][BIOLOGY_KEPT["sex"]]
    assert (row["answer"], row["method"]) == ("cannot tell", "cyclegan")
    assert "cannot be read from the raw images" in row["source"]


def test_both_tables_are_written_and_every_column_is_described(judged):
    tissue, found, _ = judged
    for path, key in zip(found.files, TABLES, strict=True):
        assert path == tissue.study.output_dir / f"{key}.tsv"
        described = json.loads(path.with_suffix(".json").read_text())
        assert list(described) == list(read_tsv(path).columns)


def test_age_is_read_in_controls_and_group_in_everybody(judged):
    table = read_tsv(judged[0].study.output_dir / "group_biology.tsv").set_index("target")
    assert set(table.loc["age", "n"].astype(int)) == {20}
    assert set(table.loc["group", "n"].astype(int)) == {40}
    assert set(table["scheme"]) == {"within_site", "leave_site_out"}


def test_a_harmonizer_that_takes_age_out_is_told(tmp_path):
    _, answers = TissueStudy(tmp_path, kept=0.0).judge()
    row = answers[BIOLOGY_KEPT["age"]]
    assert row["answer"] == "no"
    assert row["value"] > 0.5
    assert "can no longer be read" in row["source"]


def test_tissue_of_another_model_is_not_judged_and_old_tables_go(tmp_path):
    tissue = TissueStudy(tmp_path)
    tissue.judge()
    (tmp_path / "models/cyclegan_to-A/model.json").write_text(json.dumps({"sha256": "new"}))
    found, answers = tissue.judge()
    assert found.files == ()
    assert not any(
        (tmp_path / f"{key}{end}").exists() for key in TABLES for end in (".tsv", ".json")
    )
    assert {row["answer"] for row in answers.values()} == {"cannot tell"}
    assert "is of another model" in found.notes[0]


def test_without_the_stage_features_nothing_is_judged(tmp_path):
    tissue = TissueStudy(tmp_path)
    (tmp_path / "group_features.tsv").unlink()
    found, answers = tissue.judge()
    assert "features has not run" in answers[VOLUMES_ALIKE]["source"]
    assert "features has not run" in found.notes[0]


def test_networks_answer_where_no_tissue_was_measured(tmp_path):
    tissue = TissueStudy(tmp_path)
    (tmp_path / "group_features.tsv").unlink()
    raw = tissue.age_by_network("identity", error_years=3)
    lost = tissue.age_by_network("cyclegan", error_years=6)
    found, answers = tissue.judge([raw, lost])
    row = answers[BIOLOGY_KEPT["age"]]
    assert row["answer"] == "no"
    assert row["value"] == pytest.approx(1.0)
    assert "group_biology: network, within sites, 40 people" in row["source"]
    assert answers[BIOLOGY_KEPT["sex"]]["answer"] == "cannot tell"
    assert [one.name for one in found.files] == ["group_biology.tsv"]
    assert set(read_tsv(found.files[0])["model"]) == {"network"}


def test_tissue_answers_before_networks_and_another_tool_is_asked_by_networks_alone(tmp_path):
    tissue = TissueStudy(tmp_path)
    by_networks = [
        tissue.age_by_network(method, error_years=error)
        for method, error in (("identity", 3), ("cyclegan", 6), ("judge:other", 3))
    ]
    found, _ = tissue.judge(by_networks, foreign=["judge:other"])
    rows = {(row["method"], row["question"]): row for row in found.verdict}
    own = rows["cyclegan", BIOLOGY_KEPT["age"]]
    assert own["answer"] == "yes"
    assert "ridge, within sites" in own["source"]
    other = rows["judge:other", BIOLOGY_KEPT["age"]]
    assert (other["answer"], other["value"]) == ("yes", 0)
    for question in (VOLUMES_ALIKE, BIOLOGY_KEPT["sex"]):
        row = rows["judge:other", question]
        assert row["answer"] == "cannot tell"
        assert "features has not measured the tool's images" in row["source"]


def test_a_network_answers_where_the_tissue_of_raw_images_does_not_show_it(tmp_path):
    tissue = TissueStudy(tmp_path)
    people = sorted(tissue.study.eligible)
    sex = (tissue.study.participants.loc[people, "sex"] == "f").astype(float)
    frame = pd.DataFrame({"site": [name[4] for name in people], "truth": sex, "predicted": sex})
    read = [
        Reading(method, Target("sex", sex), ACROSS, frame, NETWORK)
        for method in ("identity", "cyclegan")
    ]
    _, answers = tissue.judge(read)
    row = answers[BIOLOGY_KEPT["sex"]]
    assert row["answer"] == "yes"
    assert "network, within sites" in row["source"]
    assert "ridge, within sites" in answers[BIOLOGY_KEPT["age"]]["source"]


def test_the_tissue_of_another_tool_is_judged_like_our_own(tmp_path):
    tissue = TissueStudy(tmp_path)
    tissue.add_tool("other")
    found, _ = tissue.judge(foreign=["judge:other"])
    rows = {(row["method"], row["question"]): row for row in found.verdict}
    for question in (VOLUMES_ALIKE, *BIOLOGY_KEPT.values()):
        own, other = rows["cyclegan", question], rows["judge:other", question]
        assert other["answer"] == own["answer"]
        assert other["value"] == pytest.approx(own["value"])
    assert rows["judge:other", VOLUMES_ALIKE]["answer"] == "yes"
    for path in found.files:
        assert "judge:other" in set(read_tsv(path)["method"])


def test_a_tool_that_is_not_judged_any_more_takes_no_part(tmp_path):
    tissue = TissueStudy(tmp_path)
    before = tissue.judge()[1]
    tissue.add_tool("other")
    found, answers = tissue.judge()
    assert answers == before
    assert "judge:other" not in set(read_tsv(found.files[0])["method"])


def test_without_travelling_subjects_biology_is_still_read(tmp_path):
    tissue = TissueStudy(tmp_path)
    path = tmp_path / "group_features.tsv"
    rows = read_tsv(path)
    rows[~rows["participant_id"].str.contains("T")].to_csv(
        path, sep="\t", index=False, na_rep="n/a"
    )
    found, answers = tissue.judge()
    assert answers[VOLUMES_ALIKE]["answer"] == "cannot tell"
    assert "no travelling subject" in answers[VOLUMES_ALIKE]["source"]
    assert answers[BIOLOGY_KEPT["age"]]["answer"] == "yes"
    assert [one.name for one in found.files] == ["group_biology.tsv"]
