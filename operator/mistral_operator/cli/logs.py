"""Structured logs: one JSON object per line, whoever writes it."""

import io
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import structlog
from structlog.dev import plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

from mistral_operator.api.plain_text import without_secrets
from mistral_operator.cli.terminal import visible


def _of_texts(change: Callable[[str], str], value: Any) -> Any:
    """Change every text in a value of a log line, however deep."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _of_texts(change, one) for name, one in value.items()}
    return [_of_texts(change, one) for one in value] if isinstance(value, list | tuple) else value


def _without_secrets(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Leave out what reads like a token, whoever's words a line repeats."""
    return {name: value if name == "exc_info" else _of_texts(without_secrets, value) for name, value in line.items()}


def _visible(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Show as an escape what a terminal would act on; JSON has escapes of its own."""
    return {name: value if name == "exc_info" else _of_texts(visible, value) for name, value in line.items()}


def _plain_traceback(written: TextIO, error: ExcInfo) -> None:
    """Write a traceback whose exception may repeat anybody's words."""
    text = io.StringIO()
    plain_traceback(text, error)
    written.write("\n".join(visible(line) for line in without_secrets(text.getvalue()).split("\n")))


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
        [tracebacks, _without_secrets, structlog.processors.JSONRenderer()]
        if json
        else [
            _without_secrets,
            _visible,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_plain_traceback),
        ]
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
