"""What the plugin puts in place in a process of its own, and on a platform that this machine need not have.

Run as a script, it loads vLLM's general plugins as each of vLLM's processes does, and prints what it finds as JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

PRETENDED = "pretended_platform"  # a distribution with a platform plugin: this very module is its code


class Registered(NamedTuple):
    """What one process found, or how it ended."""

    found: dict[str, Any] | None
    exit_code: int
    log: str


def register_on(platform: str, folder: Path, env: Mapping[str, str]) -> Registered:
    """Load the plugins where vLLM takes the machine for a platform (a member of its PlatformEnum).

    ``folder`` goes on the path: what else is installed there counts as installed.
    """
    install(
        folder, PRETENDED, "1", {"entry_points.txt": f"[vllm.platform_plugins]\n{PRETENDED} = registering:platform\n"}
    )
    ours = {
        "PYTHONPATH": os.pathsep.join((str(folder), str(Path(__file__).parent))),
        "VLLM_PLUGINS": f"mistral_vllm,{PRETENDED}",
        "PRETENDED": platform,
    }
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, __file__], env=os.environ | ours | dict(env), timeout=300,
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1]
    return Registered(json.loads(last) if done.returncode == 0 else None, done.returncode, done.stdout)


def install(folder: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    """Write a distribution's metadata into a folder of the path."""
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    for file, text in {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **files}.items():
        (information / file).write_text(text)


def platform() -> str:
    """Return the platform's class; the entry point of ``vllm.platform_plugins``."""
    return "registering.Pretended"


def __getattr__(name: str) -> Any:
    """Make the class when vLLM asks for it: tests import this module without vLLM."""
    if name != "Pretended":
        raise AttributeError(name)
    from vllm.platforms.interface import Platform, PlatformEnum  # noqa: PLC0415

    class Pretended(Platform):  # type: ignore[misc] # vLLM's, which has no types where they are checked
        _enum = PlatformEnum[os.environ["PRETENDED"]]
        device_name = device_type = os.environ["PRETENDED"].lower()

    return Pretended


def _main() -> None:
    import torch  # noqa: PLC0415
    from vllm.model_executor.models.registry import ModelRegistry  # noqa: PLC0415
    from vllm.plugins import load_general_plugins  # noqa: PLC0415
    from vllm.transformers_utils.config import get_config_parser  # noqa: PLC0415
    from vllm.v1.attention.backends.registry import AttentionBackendEnum  # noqa: PLC0415

    load_general_plugins()
    from mistral_vllm.plugin import register  # noqa: PLC0415

    register()  # again changes nothing
    custom = AttentionBackendEnum.CUSTOM
    classes = {name: ModelRegistry.models[name] for name in ("MistralForCausalLM", "LlamaForCausalLM")}
    found = {
        "backend": custom.get_path() if custom.is_overridden() else None,
        "parsers": [type(get_config_parser(name)).__name__ for name in ("hf", "mistral")],
        "classes": {name: model.module_name for name, model in classes.items()},
        "cuda": torch.cuda.is_initialized(),
        "xformers": "xformers" in sys.modules,
    }
    print(json.dumps(found))  # noqa: T201 - what it is run for


if __name__ == "__main__":
    _main()
