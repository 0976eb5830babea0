"""How the nodes are run: one after another, or in several processes.

Choice: a thin subclass of nipype's MultiProc. Reason: with nipype's own, a worker that the system
kills (out of memory) breaks the pool, no result ever comes, and the run waits for ever; and it
starts the first node of every scan before it finishes one scan, so that a stopped run has nothing
to show. Rejected: LegacyMultiProc (hangs likewise). Revisit when nipype learns both.

Workers are spawned, not forked: a fork copies locks that ITK's threads may hold.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from nipype.pipeline.plugins.linear import LinearPlugin
from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer, run_node

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import UsageError

StatusCallback = Callable[[Any, str], None]

POLL_S = 0.1


class SurvivingMultiProcPlugin(MultiProcPlugin):  # type: ignore[misc]
    """MultiProc that outlives killed workers and finishes one scan before it starts many."""

    pool: ProcessPoolExecutor

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
            initializer=process_initializer,
            initargs=(self._cwd,),
            mp_context=get_context(self.plugin_args.get("mp_context")),
        )


def count_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def choose_plugin(
    resources: ResourceSettings, *, n_scans: int, status_callback: StatusCallback
) -> Any:
    """The nipype plugin that a run uses.

    Parameters
    ----------
    resources
        ``plugin_file`` wins; else ``nprocs`` (all processors where ``None``) and ``mem_gb``.
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
    n_procs = min(resources.nprocs or count_cpus(), n_scans)
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
    }
    if mem_gb is not None:
        arguments["memory_gb"] = mem_gb
    return SurvivingMultiProcPlugin(plugin_args=arguments)


def _plugin_from_file(path: Path, status_callback: StatusCallback) -> Any:
    content = _read_plugin_file(path)
    name, arguments = content["plugin"], dict(content.get("plugin_args") or {})
    arguments["status_callback"] = status_callback
    if name == "MultiProc":
        arguments = {"raise_insufficient": False, "mp_context": "spawn", **arguments}
        return SurvivingMultiProcPlugin(plugin_args=arguments)
    from nipype.pipeline import plugins

    known = sorted(key[: -len("Plugin")] for key in vars(plugins) if key.endswith("Plugin"))
    if name not in known:
        message = f"{path}: unknown nipype plugin {name!r}; available: {', '.join(known)}"
        raise UsageError(message)
    return getattr(plugins, f"{name}Plugin")(plugin_args=arguments)


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
