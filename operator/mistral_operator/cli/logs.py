"""Structured logs: one JSON object per line, whoever writes it."""

import logging
import sys

import structlog
from structlog.dev import plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import FilteringBoundLogger, Processor


def set_up_logs(level: str, *, json: bool) -> FilteringBoundLogger:
    """Send all logs, aiohttp's included, to standard error; return the operator's own logger."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # tracebacks without the values of variables, which structlog shows unless told otherwise: one may be a token
    tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    written: list[Processor] = (
        [tracebacks, structlog.processors.JSONRenderer()]
        if json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    wanted = logging.getLevelNamesMapping()[level]
    # libraries tell each request; theirs is of interest from warnings on, unless somebody debugs
    logging.basicConfig(level=wanted if wanted == logging.DEBUG else max(wanted, logging.WARNING), handlers=[handler])
    logging.getLogger("mistral_operator").setLevel(wanted)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(wanted),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logger: FilteringBoundLogger = structlog.get_logger("mistral_operator")
    return logger
