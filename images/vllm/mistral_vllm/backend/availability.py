"""Whether xFormers can be used in this process, in one sentence; never touches CUDA.

``import xformers`` succeeds without its CUDA operators, and ``xformers.ops`` asks the driver for the GPU at import. So
this looks at what is installed and loads the libraries, no more.
"""

import ctypes
import json
from importlib import metadata, util
from pathlib import Path
from typing import Final, NamedTuple

TESTED_XFORMERS: Final = "0.0.35"


class Availability(NamedTuple):
    """Whether xFormers is there, which, and if not, why not and what to do."""

    ok: bool
    version: str | None
    reason: str


def xformers_availability() -> Availability:
    """Look for xFormers and for what it is linked with."""
    try:
        version = metadata.version("xformers")
    except metadata.PackageNotFoundError:
        return _unusable(None, f"xFormers is not installed: install xformers=={TESTED_XFORMERS}")
    if version != TESTED_XFORMERS:
        return _unusable(version, f"xFormers {version} is not the one tested: install xformers=={TESTED_XFORMERS}")
    missing = _missing_library()
    if missing is not None:
        return _unusable(
            version,
            f"xFormers {version} has no CUDA operators, because {missing}: install nvidia-cuda-runtime-cu12 and put "
            "its lib folder on LD_LIBRARY_PATH",
        )
    return Availability(ok=True, version=version, reason="Available")


def _unusable(version: str | None, reason: str) -> Availability:
    return Availability(ok=False, version=version, reason=f"{reason}; until then FlashAttention decodes the windows")


def _missing_library() -> str | None:
    """Return why the extension cannot be loaded, or None. It is linked with the CUDA runtime it was built for."""
    found = util.find_spec("xformers")
    folder = Path(found.origin).parent if found is not None and found.origin is not None else None
    if folder is None or not (folder / "_C.so").is_file():
        return "the wheel has no compiled extension"
    try:
        built_for = int(json.loads((folder / "cpp_lib.json").read_text(encoding="utf-8"))["version"]["cuda"])
    except (OSError, ValueError, KeyError, TypeError):
        return "its cpp_lib.json cannot be read"
    library = f"libcudart.so.{built_for // 100}"
    try:
        ctypes.CDLL(library)
    except OSError:
        return f"{library} cannot be loaded"
    return None


if __name__ == "__main__":
    print(xformers_availability().reason)  # noqa: T201 - what it is run for
