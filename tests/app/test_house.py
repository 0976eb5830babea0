"""What holds for the repository as a whole: file sizes, CI configuration, one version."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import bids_harmonize

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "bids_harmonize").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_longer_than_300_lines(module):
    assert len(module.read_text().splitlines()) <= 300


def ci_config():
    return yaml.safe_load((ROOT / ".circleci" / "config.yml").read_text())


def workflow_jobs():
    """Name of every job of the workflow to its options."""
    entries = ci_config()["workflows"]["main"]["jobs"]
    return {n: o for e in entries for n, o in ({e: {}} if isinstance(e, str) else e).items()}


def shell_lines():
    """Every command of every CI job, and those of .ci/run."""
    config = ci_config()
    steps = [step for job in config["jobs"].values() for step in job["steps"]]
    steps += [step for command in config["commands"].values() for step in command["steps"]]
    runs = [step["run"] for step in steps if isinstance(step, dict) and "run" in step]
    commands = [run if isinstance(run, str) else run["command"] for run in runs]
    return [*commands, *(ROOT / ".ci" / "run").read_text().splitlines()]


def makefile_targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_every_job_of_the_ci_workflow_exists_and_so_does_what_it_requires():
    jobs, workflow = set(ci_config()["jobs"]), workflow_jobs()
    assert set(workflow) == jobs
    for options in workflow.values():
        assert set(options.get("requires", [])) <= set(workflow)


def test_what_is_published_on_tags_waits_for_jobs_that_run_on_tags():
    workflow = workflow_jobs()
    published = {name for name in workflow if name.startswith("deploy-")}
    assert published == {"deploy-image", "deploy-pypi"}
    for name in published:
        filters = workflow[name]["filters"]
        assert filters == {"branches": {"ignore": "/.*/"}, "tags": {"only": "/^v.*/"}}
        needed = set(workflow[name]["requires"])
        assert {"lint", "test", "test-slow"} < needed
        for other in needed:  # without a filter for tags a job is left out, and all behind it
            assert workflow[other]["filters"]["tags"] == filters["tags"]
    assert "container" in workflow["deploy-image"]["requires"]
    assert "package" in workflow["deploy-pypi"]["requires"]


def test_ci_runs_make_targets_that_exist():
    used = {m for line in shell_lines() for m in re.findall(r"(?:^|&& )make ([a-z-]+)", line)}
    assert {"check", "test", "test-slow", "demo", "package", "image", "test-container"} <= used
    assert used <= makefile_targets()


def test_every_make_target_is_phony_and_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert set(phony.split()) == makefile_targets()
    told = set(re.findall(r"^([a-z-]+):.*## \S", makefile, flags=re.MULTILINE))
    assert makefile_targets() - told == set()


def test_what_one_ci_job_keeps_for_another_is_what_its_targets_use():
    jobs = ci_config()["jobs"]
    kept = {
        path: name
        for name, job in jobs.items()
        for step in job["steps"]
        if isinstance(step, dict) and "persist_to_workspace" in step
        for path in step["persist_to_workspace"]["paths"]
    }
    assert kept == {"dist": "package", "build/image": "container"}
    for name in ("deploy-image", "deploy-pypi"):
        assert {"attach_workspace": {"at": "."}} in jobs[name]["steps"]


def test_a_tag_is_checked_against_the_version():
    for tag, code in ((f"v{bids_harmonize.__version__}", 0), ("v9.9.9", 2), ("", 2)):
        make = ["make", "--no-print-directory", "-C", str(ROOT), "tag-check", f"TAG={tag}"]
        run = subprocess.run(make, capture_output=True, text=True)
        assert run.returncode == code, run.stdout + run.stderr


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
