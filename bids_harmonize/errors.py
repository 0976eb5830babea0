"""The exception tree; each error knows its exit code.

::

    HarmonizeError            70   anything that should not happen
    |-- UsageError             2   the command line or the settings contradict themselves
    |-- ScanError              1   one scan is unusable; the others go on
    |-- InvalidDatasetError   16   the input is no BIDS dataset
    |-- SelectionError        18   filters select nothing, or a label is unknown
    |-- UnusableDataError     65   the data can be read but not used
    |   |-- SiteError         65   site unknown, or one site only
    |   `-- DirectionError    65   a harmonizer lacks the asked direction
    |-- MissingInputError     66   no T1w image, no participant-level output
    |-- LeakError             70   a person that must not be trained on stands in a training split
    |-- OutputError           73   the output cannot be written
    |-- StorageError          74   input/output failed, for instance a full disk
    |   `-- WorkerError       74   another process of the run is gone
    `-- BusyError             75   another run holds the lock; run again

Beside the tree stands PreemptedError, which is no fault but a request to stop (75).

Every message says what was found, what was expected, which file or setting, and what to do.
"""

from typing import ClassVar


class HarmonizeError(Exception):
    """Root of the tree; an internal error unless a subclass says otherwise."""

    exit_code: ClassVar[int] = 70


class UsageError(HarmonizeError):
    """The command line or the settings are wrong; all faults stand in one message."""

    exit_code = 2


class ScanError(HarmonizeError):
    """One scan (or its sidecar) is unusable; the run goes on with the others."""

    exit_code = 1


class InvalidDatasetError(HarmonizeError):
    """The input is not a valid BIDS dataset."""

    exit_code = 16


class SelectionError(HarmonizeError):
    """The filters select nothing, or name a participant or session that does not exist."""

    exit_code = 18


class UnusableDataError(HarmonizeError):
    """The data can be read but cannot serve the purpose."""

    exit_code = 65


class SiteError(UnusableDataError):
    """The site of a scan is unknown, or there are too few sites."""


class DirectionError(UnusableDataError):
    """The harmonizer has not learnt to go from this site to that one."""


class MissingInputError(HarmonizeError):
    """There is no T1w image, or no participant-level output to work on."""

    exit_code = 66


class LeakError(HarmonizeError):
    """A participant that must stay unseen stands in a training split."""


class OutputError(HarmonizeError):
    """The output directory cannot be written."""

    exit_code = 73


class StorageError(HarmonizeError):
    """Reading or writing failed half way, for instance because the disk is full."""

    exit_code = 74


class WorkerError(StorageError):
    """Another process that works on this run is gone or does not answer."""


class BusyError(HarmonizeError):
    """Another run holds the lock of this output directory; run again later."""

    exit_code = 75


class PreemptedError(BaseException):
    """The scheduler wants the machine back; no ``Exception``, so that no loop over scans takes it.

    Attributes
    ----------
    has_checkpoint
        Whether a training was running, which goes on from its checkpoint.
    """

    exit_code: ClassVar[int] = 75

    def __init__(self, *, has_checkpoint: bool = False) -> None:
        super().__init__()
        self.has_checkpoint = has_checkpoint
