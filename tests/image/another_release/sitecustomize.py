"""On the path, this makes an installed vLLM say that it is another release, in every process that Python starts."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any


class _AnotherVersion(MetaPathFinder):
    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Answer for the one module that a build of vLLM writes its version into."""
        if fullname != "vllm._version":
            return None
        return spec_from_file_location(fullname, Path(__file__).with_name("another_version.py"))


sys.meta_path.insert(0, _AnotherVersion())
