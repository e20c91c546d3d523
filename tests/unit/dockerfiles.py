"""What stands in a Dockerfile, and in the Makefile that builds it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def read_dockerfile(path: Path) -> str:
    """Return a Dockerfile without its comments, each instruction on one line."""
    return re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", path.read_text(encoding="utf-8")))


def instructions(dockerfile: str, name: str) -> list[str]:
    """Return what stands behind each instruction of that name, in order."""
    return [" ".join(line.split()) for line in re.findall(rf"(?m)^{name} (.*)$", dockerfile)]


def makefile(variable: str) -> str:
    """Return what the Makefile sets a variable to."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (value,) = re.findall(rf"(?m)^{variable} [:?]= (.*)$", text)
    return str(value)
