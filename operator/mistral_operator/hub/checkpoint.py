"""From files to facts: the same steps for a folder and for a hub, so that both give the same plan."""

from mistral_operator.hub.errors import NoConfigError
from mistral_operator.hub.files import CONFIG, PARAMS, QUANTIZATION, ModelFiles, sort_files
from mistral_operator.hub.json_file import read_object
from mistral_operator.hub.kept_words import kept_of
from mistral_operator.hub.weights import weights_of
from mistral_operator.planning.facts import ModelFacts


def facts_of(files: ModelFiles, *, revision: str, commit: str | None) -> ModelFacts:
    """Read a model's files into facts; the configs are read first, since they are what access is checked by.

    Raises
    ------
    NoConfigError
        When there is neither config.json nor params.json.
    TornConfigError, ConfigTooLargeError, TornWeightsError
        When a file is there and is not what its name says.
    HubError
        Whatever reading the files raises.
    """
    config = read_object(files, CONFIG)
    params = read_object(files, PARAMS)
    if config is None and params is None:
        raise NoConfigError(files.model)
    quantization = read_object(files, QUANTIZATION)
    names = sort_files(files.sizes)
    return ModelFacts(
        id=files.model,
        revision=revision,
        commit=commit,
        config=kept_of(files.model, CONFIG, config) if files.remote else config,
        params=kept_of(files.model, PARAMS, params) if files.remote else params,
        weights=weights_of(files, names),
        tokenizer_files=names.tokenizer,
        quantization=kept_of(files.model, QUANTIZATION, quantization) if files.remote else quantization,
        other_weights=names.other_weights,
    )
