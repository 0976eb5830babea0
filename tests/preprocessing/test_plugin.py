"""How nodes are run, and that a killed worker ends nothing but its own scan."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from nipype import Function, Node, Workflow
from nipype.pipeline.plugins.linear import LinearPlugin

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import UsageError
from bids_harmonize.machine import usable_memory_gb
from bids_harmonize.preprocessing.plugin import (
    SurvivingMultiProcPlugin,
    choose_plugin,
    multiproc,
)
from bids_harmonize.preprocessing.workflow import NODE_MEMORY_GB


def _ignore(node: Any, status: str) -> None:
    del node, status


def _die() -> int:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _live(number: int) -> int:
    return number + 1


def test_a_killed_worker_does_not_hang_the_run_and_the_others_finish(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    workflow = Workflow(name="all", base_dir=str(tmp_path))
    workflow.config["execution"] = {
        "crashdump_dir": str(tmp_path),
        "poll_sleep_duration": "0.1",
        "create_report": "false",
    }
    nodes = [Node(Function(output_names=["out"], function=_die), name="a_dies")]
    for name in ("b_lives", "c_lives"):
        function = Function(input_names=["number"], output_names=["out"], function=_live)
        nodes.append(Node(function, name=name))
        nodes[-1].inputs.number = 1
    workflow.add_nodes(nodes)
    plugin = multiproc(1, mem_gb=4, status_callback=lambda node, s: seen.append((node.name, s)))
    with pytest.raises(RuntimeError, match="terminated abruptly"):
        workflow.run(plugin=plugin)
    plugin.close()
    assert ("a_dies", "exception") in seen
    assert {name for name, status in seen if status == "end"} == {"b_lives", "c_lives"}


def _note(folder: str, number: int, wanted: int) -> int:
    """Write when it runs, which is until so many have begun: workers may start late."""
    import os
    import time
    from pathlib import Path

    (Path(folder) / f"begin-{number}").write_text(repr(time.monotonic()))
    latest = time.monotonic() + 30
    while len(list(Path(folder).glob("begin-*"))) < wanted and time.monotonic() < latest:
        os.sched_yield()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        os.sched_yield()
    (Path(folder) / f"end-{number}").write_text(repr(time.monotonic()))
    return number


@pytest.mark.parametrize(("mem_gb", "expected"), [(1.5, 1), (2.7, 2), (1.0, 1)])
def test_no_more_nodes_run_at_once_than_fit_into_memory(
    tmp_path: Path, mem_gb: float, expected: int
) -> None:
    workflow = Workflow(name="all", base_dir=str(tmp_path / "work"))
    workflow.config["execution"] = {"poll_sleep_duration": "0.02", "create_report": "false"}
    for number in range(4):
        function = Function(input_names=["folder", "number", "wanted"], function=_note)
        node = Node(function, name=f"node{number}", mem_gb=NODE_MEMORY_GB["conform"])
        node.inputs.folder, node.inputs.number = str(tmp_path), number
        node.inputs.wanted = expected
        workflow.add_nodes([node])
    plugin = multiproc(3, mem_gb=mem_gb, status_callback=_ignore)
    workflow.run(plugin=plugin)
    plugin.close()
    times = [
        tuple(float((tmp_path / f"{name}-{number}").read_text()) for name in ("begin", "end"))
        for number in range(4)
    ]
    at_once = max(sum(begin <= other[0] < end for begin, end in times) for other in times)
    assert at_once == expected


def test_the_memory_limit_of_a_plugin_is_the_jobs_not_the_machines() -> None:
    plugin = choose_plugin(ResourceSettings(nprocs=2), n_scans=9, status_callback=_ignore)
    assert plugin.memory_gb == pytest.approx(usable_memory_gb())


def test_slurm_takes_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plugin.yml"
    path.write_text("plugin: SLURM\nplugin_args: {sbatch_args: --mem=4G, max_jobs: 20}\n")
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    resources = ResourceSettings(plugin_file=str(path))
    plugin = choose_plugin(resources, n_scans=9, status_callback=_ignore)
    assert type(plugin).__name__ == "SLURMPlugin"
    assert (plugin._sbatch_args, plugin.max_jobs) == ("--mem=4G", 20)


SHIPPED = sorted((Path(__file__).parents[2] / "docs" / "hpc" / "plugins").glob("*.yml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_plugin_file_of_the_docs_loads_and_its_arguments_arrive(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nipype asks a Grid Engine at once which jobs there are, ten times if it hears none.
    jobs = 'echo "<a><job_info></job_info></a>"'
    for command, does in (("sbatch", ""), ("qsub", ""), ("qstat", jobs)):
        (tmp_path / command).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    resources = ResourceSettings(plugin_file=str(path))
    plugin = choose_plugin(resources, n_scans=9, status_callback=_ignore)
    content = yaml.safe_load(path.read_text())
    assert type(plugin).__name__.endswith(f"{content['plugin']}Plugin")
    told = {"n_procs": "processors"}
    for name, value in (content.get("plugin_args") or {}).items():
        places = (told.get(name, name), f"_{name}")
        assert value in [getattr(plugin, place, None) for place in places]


def test_the_docs_have_plugin_files_of_all_kinds() -> None:
    assert [path.stem for path in SHIPPED] == ["linear", "multiproc", "pbs", "sge", "slurm"]


def test_one_process_is_linear_and_more_are_multiproc() -> None:
    one = choose_plugin(ResourceSettings(nprocs=1), n_scans=9, status_callback=_ignore)
    assert isinstance(one, LinearPlugin)
    two = choose_plugin(ResourceSettings(nprocs=2, mem_gb=3), n_scans=9, status_callback=_ignore)
    assert isinstance(two, SurvivingMultiProcPlugin)
    assert (two.processors, two.memory_gb) == (2, 3)
    few = choose_plugin(ResourceSettings(nprocs=8), n_scans=1, status_callback=_ignore)
    assert isinstance(few, LinearPlugin)


def test_the_plugin_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "plugin.yml"
    path.write_text("plugin: MultiProc\nplugin_args: {n_procs: 3, memory_gb: 7}\n")
    resources = ResourceSettings(nprocs=1, plugin_file=str(path))
    plugin = choose_plugin(resources, n_scans=1, status_callback=_ignore)
    assert isinstance(plugin, SurvivingMultiProcPlugin)
    assert (plugin.processors, plugin.memory_gb) == (3, 7)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("plugin: Nonsense", "unknown nipype plugin 'Nonsense'; available: .*MultiProc"),
        ("- a list", "expected 'plugin: <name>'"),
        ("plugin: Linear\nplugin_args: 3", "plugin_args is no mapping"),
        ("plugin: [", "no readable YAML"),
        ("plugin: MultiProc\nplugin_args: {n_proc: 3}", "unknown plugin_args n_proc; available"),
        ("plugin: Linear\nplugin_args: {n_procs: 3}", "unknown plugin_args n_procs.*none"),
        ("plugin: SLURM", "submits jobs with sbatch, which is not on PATH"),
    ],
)
def test_a_bad_plugin_file_is_named(
    tmp_path: Path, content: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "plugin.yml"
    path.write_text(content)
    with pytest.raises(UsageError, match=words):
        choose_plugin(ResourceSettings(plugin_file=str(path)), n_scans=1, status_callback=_ignore)


def test_a_plugin_that_does_not_wait_for_its_jobs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plugin.yml"
    path.write_text("plugin: SLURMGraph\n")
    resources = ResourceSettings(plugin_file=str(path))
    with pytest.raises(UsageError, match=r"does not wait for them.*use SLURM"):
        choose_plugin(resources, n_scans=2, status_callback=_ignore)


def test_low_mem_works_on_one_scan_at_a_time() -> None:
    def plugin(**resources: Any) -> Any:
        return choose_plugin(
            ResourceSettings(nprocs=4, **resources), n_scans=8, status_callback=_ignore
        )

    many = plugin()
    assert many.processors == 4
    many.close()
    assert isinstance(plugin(low_mem=True), LinearPlugin)
