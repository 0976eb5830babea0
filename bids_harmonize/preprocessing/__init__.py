"""The participant level: the only package that knows nipype.

nipype looks at its environment while it is imported: so the flags that keep it from calling home,
from asking for its newest version and from writing into the home folder are set here, before any
module of this package imports it. Its own log is quiet; what it warns of goes to our log.
"""

import logging
import os
import tempfile

os.environ.setdefault("NO_ET", "1")
os.environ.setdefault("NIPYPE_NO_ET", "1")
os.environ.setdefault("NIPYPE_CONFIG_DIR", tempfile.gettempdir())
os.environ.setdefault("MPLCONFIGDIR", tempfile.gettempdir())
os.environ.setdefault("LOGNAME", "user")
os.environ.setdefault("FSLOUTPUTTYPE", "NIFTI_GZ")

import nipype

_SAID_BETTER = ("Storing result file without outputs", "[Node] Error on")


class _ToOurLog(logging.Handler):
    """Hands nipype's warnings to our log; that a node failed we say better ourselves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        message = record.getMessage()
        known = record.levelno >= logging.ERROR or message.startswith(_SAID_BETTER)
        level = logging.DEBUG if known else record.levelno
        logging.getLogger("bids_harmonize.nipype").log(level, "%s", message)


def _quieten_nipype() -> None:
    nipype.config.update_config(
        {
            "execution": {"check_version": "false", "create_report": "false"},
            "logging": {
                "workflow_level": "WARNING",
                "interface_level": "WARNING",
                "utils_level": "WARNING",
                "log_to_file": "false",
            },
        }
    )
    nipype.logging.update_logging(nipype.config)
    logger = logging.getLogger("nipype")
    logger.handlers = [_ToOurLog()]
    logger.propagate = False


_quieten_nipype()
