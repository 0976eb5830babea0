"""The site classifier's section with many sites, and with new scans of a finished model."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import site_output
from bids_harmonize.report.group_blocks import Figure, Fold, Table
from bids_harmonize.report.group_classification import classification_section
from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.report.group_sitenamed import UNSEEN_WORDS, confusion_of
from bids_harmonize.report.group_sitewarnings import site_findings
from bids_harmonize.report.page import render_page
from tests.report.site_fixture import change, write_site_tables, write_tsv

N_PER_SITE = 3


def names(n_sites):
    return [f"Site {letter}" for letter in "ABCDEFGHIJKLMNOPQRST"[:n_sites]]


def prediction(person, site, named, sites, **cells):
    shares = {f"p_{name}": 0.9 if name == named else 0.1 / len(sites) for name in sites}
    return {
        "filename": f"{person}_desc-preproc_T1w.nii.gz", "participant_id": person, "site": site,
        "fold": 1, "images": "preproc", "predicted": named, **shares, "unseen_site": "false",
        "trained_on": None, **cells,
    }  # fmt: skip


def write_study(folder, n_sites):
    """Every site takes one of three for the next site; maps are noise."""
    sites = names(n_sites)
    write_site_tables(folder, sites=sites, per_site=N_PER_SITE)
    rows = []
    for place, site in enumerate(sites):
        for k in range(N_PER_SITE):
            named = sites[(place + 1) % n_sites] if k == 0 else site
            rows.append(prediction(f"sub-{place}x{k}", site, named, sites))
    rows += [prediction(f"sub-{k}", sites[0], sites[1], sites) for k in ("y", "z")]
    write_tsv(folder / "group_sitepredictions.tsv", rows)
    affine = np.diag([16.0, 16.0, 16.0, 1.0])
    affine[:3, 3] = [-84, -120, -60]
    rng = np.random.default_rng(0)
    for site in sites:
        path = site_output(folder, site, "site_mean_saliency")
        write_image(path, rng.random((11, 14, 10)).astype(np.float32), affine)
    return folder


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    return {
        n: classification_section(
            read_group_inputs(write_study(tmp_path_factory.mktemp(f"s{n}"), n))
        )
        for n in (2, 9)
    }


def titles(section, kind):
    return [block.title for block in section.blocks if isinstance(block, kind)]


def test_with_many_sites_what_is_per_site_is_folded(sections):
    few, many = sections[2], sections[9]
    assert titles(few, Fold) == []
    assert sum(title.startswith("What speaks for") for title in titles(few, Figure)) == 2
    maps, curves = [block for block in many.blocks if isinstance(block, Fold)]
    assert maps.title == "The mean maps of all 9 sites"
    assert len(maps.blocks) == 9
    assert curves.title == "Do the marked places matter? Deletion curves of 9 sites"
    assert not any(title.startswith("What speaks for") for title in titles(many, Figure))
    long = [b for b in many.blocks if isinstance(b, Table) and not b.folded and len(b.rows) > 10]
    assert long == []


def test_a_table_says_where_each_map_is_strongest(sections):
    (table,) = [b for b in sections[9].blocks if isinstance(b, Table) and "mean map is" in b.title]
    assert [row[0].text for row in table.rows] == names(9)
    assert table.rows[0][1].text.startswith("Right cerebellum (20 %)")


def test_checks_of_many_sites_show_all_together_and_the_failed_ones(sections):
    shown, passed = [
        b for b in sections[9].blocks if isinstance(b, Table) and b.title.startswith("Checks of")
    ]
    assert [(row[1].text, row[2].text) for row in shown.rows] == [
        ("failed", "Site B"), ("passed", "all sites"), ("passed", "all sites"),
    ]  # fmt: skip
    assert (passed.folded, len(passed.rows)) == (True, 17)


def test_frequent_mistakes_of_many_sites_stand_in_a_table(sections):
    tables = [b for b in sections[9].blocks if isinstance(b, Table) and "mistakes" in b.title]
    (table,) = tables
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["Site A", "Site B", "3 of 5", "60 %"]
    ]
    assert not any("mistakes" in title for title in titles(sections[2], Table))
    (matrix,) = [b for b in sections[9].blocks if isinstance(b, Figure) and "taken for" in b.title]
    assert matrix.reading.startswith("29 people (18 named rightly) before harmonization")


def test_folded_blocks_are_printed_inside_a_closed_part(sections):
    context = {"dataset": "x", "run_id": None, "sections": [sections[9]]}
    page = render_page("group.html.j2", context)
    inside = page.split("<summary>The mean maps of all 9 sites</summary>")[1]
    assert inside.split("</details>")[0].count("<img ") == 9


def test_a_persons_scans_are_averaged_and_unseen_people_stand_apart():
    sites = names(2)
    twice = [
        prediction("sub-1", "Site A", "Site A", sites, **{"p_Site A": 0.6, "p_Site B": 0.4}),
        prediction("sub-1", "Site A", "Site B", sites, **{"p_Site A": 0.1, "p_Site B": 0.9}),
        prediction("sub-2", "Site B", None, sites, unseen_site="true"),
    ]
    table = pd.DataFrame(twice)
    apart = confusion_of(table, unseen_apart=True)
    assert apart.sites == ("Site A", "Site B")
    assert apart.answers == ("Site A", "Site B", UNSEEN_WORDS)
    assert apart.counts.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert apart.mistakes() == [("Site A", "Site B", 1, 1)]
    assert apart.n_right == 0


@pytest.fixture
def applied(tmp_path):
    """New scans of two known sites and a foreign one; one is called unseen, one was trained on."""
    sites = names(2)
    new = {"fold": None, "trained_on": "false"}
    rows = [
        prediction("sub-1", "Site A", "Site A", sites, **new),
        prediction("sub-2", "Site A", "Site B", sites, **new),
        prediction("sub-3", "Site B", None, sites, **{**new, "unseen_site": "true"}),
        prediction("sub-4", "Oslo", "Site A", sites, **new),
        prediction("sub-5", "Site B", "Site B", sites, **{**new, "trained_on": "true"}),
    ]
    write_tsv(tmp_path / "group_sitepredictions.tsv", rows)
    write_site_tables(tmp_path, sites=sites, per_site=2)
    recall = [
        {"model": "network", "images": "preproc", "split": "new", "site": site, "n": n,
         "recall": 0.5, "low": 0.1, "high": 0.9, "n_unseen": n - 1}
        for site, n in (("Site A", 1), ("Site B", 2))
    ]  # fmt: skip
    write_tsv(tmp_path / "group_siterecall.tsv", recall)
    return tmp_path


def test_new_scans_have_a_confusion_and_a_recall_of_their_own(applied):
    section = classification_section(read_group_inputs(applied))
    figures = {block.title: block for block in section.blocks if isinstance(block, Figure)}
    matrix = figures["Which site is taken for which: new scans"]
    # The foreign site and the scan that was trained on are left out.
    assert matrix.reading.startswith("3 people (1 named rightly) with new scans")
    assert f"Last column ({UNSEEN_WORDS})" in matrix.reading
    assert "Which site is taken for which" not in figures
    recall = figures["How often each site is named rightly: new scans"]
    assert "also of the 1 person with a scan that looks like no trained site" in recall.reading
    assert "How often each site is named rightly" not in figures


def test_few_new_people_are_no_site_that_is_too_small(applied):
    inputs = read_group_inputs(applied)
    assert not any("Too few" in finding.title for finding in site_findings(inputs))
    change(applied, "siterecall", {"site": "Site A"}, split="validation")
    inputs = read_group_inputs(applied)
    assert any("Too few" in finding.title for finding in site_findings(inputs))


def test_the_corrected_p_stands_in_table_and_warning(tmp_path):
    write_site_tables(tmp_path, sites=names(3))
    change(tmp_path, "siteconfounding", {"variable": "age"}, p=0.0104, p_holm=0.0208)
    inputs = read_group_inputs(tmp_path)
    (finding,) = [f for f in site_findings(inputs) if f.title.startswith("Site goes with")]
    assert "p = 0.021 (Holm)" in finding.text
    (table,) = [
        b for b in classification_section(inputs).blocks
        if isinstance(b, Table) and "same kind of people" in b.title
    ]  # fmt: skip
    assert [cell.text for cell in table.rows[0]][4:6] == ["0.010", "0.021"]
