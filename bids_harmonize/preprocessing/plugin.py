"""How the nodes are run: one after another, or in several processes.

Choice: a thin subclass of nipype's MultiProc. Reason: with nipype's own, a worker that the system
kills (out of memory) breaks the pool, no result ever comes, and the run waits for ever; and it
starts the first node of every scan before it finishes one scan, so that a stopped run has nothing
to show; and its workers outlive a main process that is killed. Rejected: LegacyMultiProc (hangs
likewise). Revisit when nipype learns all three.

Workers are spawned, not forked: a fork copies locks that ITK's threads may hold.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from nipype.pipeline.plugins.base import DistributedPluginBase
from nipype.pipeline.plugins.linear import LinearPlugin
from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer, run_node

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import UsageError
from bids_harmonize.machine import count_cpus, follow_parent, usable_memory_gb

StatusCallback = Callable[[Any, str], None]

MULTIPROC_ARGUMENTS = (
    *("n_procs", "memory_gb", "raise_insufficient", "mp_context"),
    *("n_gpu_procs", "max_jobs"),
)
"""What nipype's MultiProc looks at; it passes over anything else without a word."""

SUBMITTERS = {
    **dict.fromkeys(("SLURM", "SLURMGraph"), "sbatch"),
    **dict.fromkeys(("SGE", "SGEGraph", "PBS", "PBSGraph"), "qsub"),
    **dict.fromkeys(("Condor", "CondorDAGMan"), "condor_submit"),
    "LSF": "bsub",
    "OAR": "oarsub",
}
"""Plugin of a cluster to the command without which it cannot submit a job."""


class SurvivingMultiProcPlugin(MultiProcPlugin):  # type: ignore[misc]
    """MultiProc that outlives killed workers and finishes one scan before it starts many."""

    pool: ProcessPoolExecutor

    def __init__(self, plugin_args: Mapping[str, Any]) -> None:
        super().__init__(plugin_args=dict(plugin_args))
        self.pool = self._new_pool()

    def close(self) -> None:
        """Let the workers go; what has not started is dropped."""
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _submit_job(self, node: Any, updatehash: bool = False) -> int:
        self._taskid += 1
        try:
            future = self.pool.submit(run_node, node, updatehash, self._taskid)
        except BrokenProcessPool:
            self.pool = self._new_pool()
            future = self.pool.submit(run_node, node, updatehash, self._taskid)
        self._task_obj[self._taskid] = future
        future.add_done_callback(partial(self._keep_result, self._taskid))
        return int(self._taskid)

    def _postrun_check(self) -> None:
        """Keep the workers: importing all they need takes seconds, and the next batch comes."""

    def _clear_task(self, taskid: int) -> None:
        super()._clear_task(taskid)
        self._taskresult.pop(taskid, None)

    def _keep_result(self, taskid: int, future: Future[dict[str, Any]]) -> None:
        error = future.exception()
        if error is None:
            self._taskresult[taskid] = future.result()
        else:
            words = f"{type(error).__name__}: {error}"
            self._taskresult[taskid] = {"result": None, "traceback": [words], "taskid": taskid}

    def _sort_jobs(self, jobids: Any, scheduler: str = "tsort") -> Any:
        del scheduler
        return sorted(jobids, key=lambda job: (str(self.procs[job]._hierarchy), job))

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=self.processors,
            initializer=_start_worker,
            initargs=(self._cwd,),
            mp_context=get_context(self.plugin_args.get("mp_context")),
        )


def _start_worker(cwd: str) -> None:
    follow_parent()
    process_initializer(cwd)


def choose_plugin(
    resources: ResourceSettings, *, n_scans: int, status_callback: StatusCallback
) -> Any:
    """The nipype plugin that a run uses.

    Parameters
    ----------
    resources
        ``plugin_file`` wins; else ``nprocs`` (all processors where ``None``) and ``mem_gb``, or
        one process with ``low_mem``.
    n_scans
        Scans to be processed; more processes than scans are of no use.
    status_callback
        Called in the main process with a node and ``start``, ``end`` or ``exception``.

    Returns
    -------
    nipype plugin
        Linear for one process, else MultiProc, or what the YAML file names.

    Raises
    ------
    UsageError
        If the YAML file cannot be used.
    """
    if resources.plugin_file is not None:
        return _plugin_from_file(Path(resources.plugin_file), status_callback)
    n_procs = 1 if resources.low_mem else min(resources.nprocs or count_cpus(), n_scans)
    if n_procs == 1:
        return LinearPlugin(plugin_args={"status_callback": status_callback})
    return multiproc(n_procs, mem_gb=resources.mem_gb, status_callback=status_callback)


def multiproc(
    n_procs: int, *, mem_gb: float | None, status_callback: StatusCallback
) -> SurvivingMultiProcPlugin:
    """MultiProc with so many processes and so much memory (GB; ``None``: what there is)."""
    arguments: dict[str, Any] = {
        "n_procs": n_procs,
        "raise_insufficient": False,
        "mp_context": "spawn",
        "status_callback": status_callback,
        "memory_gb": usable_memory_gb() if mem_gb is None else mem_gb,
    }
    return SurvivingMultiProcPlugin(plugin_args=arguments)


def _plugin_from_file(path: Path, status_callback: StatusCallback) -> Any:
    content = _read_plugin_file(path)
    name, arguments = content["plugin"], dict(content.get("plugin_args") or {})
    told = {"status_callback": status_callback}
    if name == "MultiProc":
        _refuse_unknown(path, arguments, known=MULTIPROC_ARGUMENTS)
        usual = {"raise_insufficient": False, "mp_context": "spawn", "n_procs": count_cpus()}
        usual["memory_gb"] = usable_memory_gb()
        return SurvivingMultiProcPlugin(plugin_args={**usual, **arguments, **told})
    if name == "Linear":
        _refuse_unknown(path, arguments, known=())
        return LinearPlugin(plugin_args=told)
    from nipype.pipeline import plugins

    known = sorted(key[: -len("Plugin")] for key in vars(plugins) if key.endswith("Plugin"))
    if name not in known:
        message = f"{path}: unknown nipype plugin {name!r}; available: {', '.join(known)}"
        raise UsageError(message)
    if name.endswith("Graph"):
        message = (
            f"{path}: the plugin {name} submits all jobs and does not wait for them, so nobody "
            f"would write the tables; use {name.removesuffix('Graph')}"
        )
        raise UsageError(message)
    submitter = SUBMITTERS.get(name)
    if submitter is not None and shutil.which(submitter) is None:
        message = (
            f"{path}: the plugin {name} submits jobs with {submitter}, which is not on PATH; run "
            "on a node of the cluster, or give one job a participant to the cluster yourself"
        )
        raise UsageError(message)
    plugin = getattr(plugins, f"{name}Plugin")(plugin_args={**arguments, **told})
    if isinstance(plugin, DistributedPluginBase):
        plugin._report_crash = partial(_report_crash, plugin._report_crash)
    return plugin


def _report_crash(report: Callable[..., str], node: Any, result: Any = None) -> str:
    """Report a job without a result: nipype wants its traceback as lines and has one text."""
    if result is not None and isinstance(result["traceback"], str):
        result = {**result, "traceback": result["traceback"].splitlines(keepends=True)}
    return report(node, result=result)


def _refuse_unknown(path: Path, arguments: Mapping[str, Any], *, known: Iterable[str]) -> None:
    odd = sorted(set(arguments) - set(known))
    if odd:
        some = ", ".join(known) or "none"
        message = f"{path}: unknown plugin_args {', '.join(odd)}; available: {some}"
        raise UsageError(message)


def _read_plugin_file(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{path}: no readable YAML file for --use-plugin: {error}"
        raise UsageError(message) from None
    if not isinstance(content, Mapping) or not isinstance(content.get("plugin"), str):
        message = f"{path}: expected 'plugin: <name>' and 'plugin_args: ...', as nipype wants it"
        raise UsageError(message)
    if not isinstance(content.get("plugin_args") or {}, Mapping):
        message = f"{path}: plugin_args is no mapping"
        raise UsageError(message)
    return content
