"""Which release of this package is installed."""

from importlib import metadata


def installed_version() -> str | None:
    """Return the distribution's version, or None for modules run from a source tree."""
    try:
        return metadata.version("mistral-vllm")
    except metadata.PackageNotFoundError:
        return None
