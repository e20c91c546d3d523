"""Logs that a test can read."""

import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger


def captured_log() -> tuple[FilteringBoundLogger, LogCapture]:
    """Return a logger, and what it has been told."""
    capture = LogCapture()
    log: FilteringBoundLogger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger("DEBUG")
    )
    return log, capture
