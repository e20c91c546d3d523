"""Which of a model's two files counts, and what the other one says.

Both may exist and disagree, and vLLM's own choice between them moved at 0.18. The choice made here is always rendered
as explicit flags, so that no release chooses for itself.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mistral_vllm.decoder import ConfigFormat
from mistral_vllm.layout import AttentionLayout, read_layout
from mistral_vllm.reasons import Finding, FindingReason, LayoutReason, Unsupported


class ConfigFiles(NamedTuple):
    """A model's config files as they are; at least one of them is there."""

    config: Mapping[str, Any] | None
    params: Mapping[str, Any] | None
    has_consolidated: bool = False  # consolidated*.safetensors exist

    @property
    def format(self) -> ConfigFormat:
        """The file to read: params.json beside consolidated weights, or alone; config.json otherwise.

        Raises
        ------
        Unsupported
            When neither exists.
        """
        if self.params is not None and (self.has_consolidated or self.config is None):
            return ConfigFormat.MISTRAL
        if self.config is not None:
            return ConfigFormat.HF
        raise Unsupported(LayoutReason.CONFIG_MISSING, "there is neither a config.json nor a params.json to read")

    @property
    def chosen(self) -> Mapping[str, Any]:
        """The contents of the file to read."""
        chosen = self.params if self.format is ConfigFormat.MISTRAL else self.config
        return chosen if chosen is not None else {}


def read_files(files: ConfigFiles) -> AttentionLayout:
    """Read the layout from the file that counts, and compare it with the other file.

    Raises
    ------
    Unsupported
        When the file that counts cannot be read. Trouble in the other one is a finding.
    """
    chosen_format = files.format
    if chosen_format is ConfigFormat.MISTRAL:
        layout = read_layout(files.chosen, config_format=chosen_format, beside=files.config)
        other_format, other = ConfigFormat.HF, files.config
    else:
        layout = read_layout(files.chosen, config_format=chosen_format)
        other_format, other = ConfigFormat.MISTRAL, files.params
    if other is None:
        return layout
    finding = _compare(layout, chosen_format, other, other_format, files.config)
    return layout if finding is None else layout._replace(findings=(*layout.findings, finding))


def _compare(
    layout: AttentionLayout,
    chosen_format: ConfigFormat,
    other: Mapping[str, Any],
    other_format: ConfigFormat,
    config: Mapping[str, Any] | None,
) -> Finding | None:
    beside = config if other_format is ConfigFormat.MISTRAL else None
    try:
        other_layout = read_layout(other, config_format=other_format, beside=beside)
    except Unsupported as error:
        return Finding(
            FindingReason.OTHER_FILE_UNREADABLE,
            f"{chosen_format.file_name} counts; {other_format.file_name} beside it cannot be read: {error.message}",
        )
    if other_layout.windows == layout.windows:
        return None
    return Finding(
        FindingReason.FILES_DISAGREE,
        f"{chosen_format.file_name} counts and says {_describe(layout)}; {other_format.file_name} beside it says "
        f"{_describe(other_layout)}",
    )


def _describe(layout: AttentionLayout) -> str:
    if layout.window_tokens is None:
        return f"no window in {len(layout.layers)} layers"
    return f"a window of {layout.window_tokens} in {layout.sliding} of {len(layout.layers)} layers"
