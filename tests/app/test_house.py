"""What holds for the repository as a whole: file sizes, CI configuration, one version."""

import re
from pathlib import Path

import pytest
import yaml

import bids_harmonize

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "bids_harmonize").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_longer_than_300_lines(module):
    assert len(module.read_text().splitlines()) <= 300


def test_every_job_of_the_ci_workflow_exists_and_so_does_what_it_requires():
    config = yaml.safe_load((ROOT / ".circleci" / "config.yml").read_text())
    jobs = set(config["jobs"])
    named = set()
    for entry in config["workflows"]["main"]["jobs"]:
        name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        named.add(name)
        assert name in jobs
        assert set(options.get("requires", [])) <= jobs
    assert named == jobs


def test_ci_runs_make_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    text = (ROOT / ".circleci" / "config.yml").read_text() + (ROOT / ".ci" / "run").read_text()
    used = set(re.findall(r"^(?:.*(?:run|command): )?make ([a-z-]+)", text, flags=re.MULTILINE))
    assert {"test", "test-slow", "demo"} <= used
    assert used <= targets


def test_the_citation_states_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == bids_harmonize.__version__


def test_torch_stands_in_its_own_lock_and_nowhere_else():
    assert (ROOT / "requirements" / "torch.txt").read_text().startswith("torch==")
    for name in ("core.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text()
        assert not re.search(r"^(torch|nvidia-|triton)", text, flags=re.MULTILINE)


def test_every_runtime_dependency_is_pinned():
    pyproject = (ROOT / "pyproject.toml").read_text()
    block = pyproject.split("dependencies = [", 1)[1].split("]\n", 1)[0]
    names = {match.lower() for match in re.findall(r'"([A-Za-z0-9_-]+)', block)} - {"torch"}
    pins = (ROOT / "requirements" / "core.txt").read_text().lower()
    pinned = set(re.findall(r"^([a-z0-9_-]+)==", pins, flags=re.MULTILINE))
    assert names <= pinned


def test_the_containers_state_the_version_of_the_package():
    version = bids_harmonize.__version__
    assert f"\nARG VERSION={version}\n" in (ROOT / "Dockerfile").read_text()
    recipe = (ROOT / "singularity.def").read_text()
    assert re.search(r"^From: \S+:(\S+)$", recipe, flags=re.MULTILINE).group(1) == version


def test_the_containers_set_the_same_environment():
    """Both ways to start the app; tini is no part of the second."""
    pair = r'\b([A-Z][A-Z_]+)=(?:"[^"]*"|\S+)'
    dockerfile = (ROOT / "Dockerfile").read_text().split("\nENV ")[-1].split("\nUSER")[0]
    recipe = (ROOT / "singularity.def").read_text()
    recipe = recipe.split("%environment")[1].split("%runscript")[0]
    set_in_image = set(re.findall(pair, dockerfile)) - {"TINI_SUBREAPER", "BIDS_HARMONIZE_TAG"}
    assert set_in_image == set(re.findall(pair, recipe))


def test_every_pinned_list_that_the_image_installs_reaches_its_build():
    dockerfile, kept = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    used = set(re.findall(r"(requirements/[a-z]+\.txt) ", dockerfile))
    assert used == {f"requirements/{name}.txt" for name in ("torch", "core", "build")}
    assert used <= {line.removeprefix("!") for line in kept.splitlines()}
