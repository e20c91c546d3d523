"""A hub that misbehaves on demand.

What the operator does about a gated repository, a torn config or a rate limit can only be shown against a hub
that has them, at the moment of the test's choosing, without a network, and without tens of gigabytes of
weights. This one speaks as much of the Hugging Face Hub's HTTP interface as huggingface_hub 2.4.0 needs to
read models, serves the configs of real models (facts and sources are in the package's README), and takes
faults per repository at run time::

    with HubServer() as hub:
        hub.faults["mistralai/Mistral-7B-v0.1"] = Fault(Kind.GATED)
        HfApi(endpoint=hub.url).model_info("mistralai/Mistral-7B-v0.1")
"""

from devcluster.hub.faults import EVERY_REPOSITORY, Fault, Kind, Switchboard
from devcluster.hub.server import MODELS, Exchange, HubServer

__all__ = ["EVERY_REPOSITORY", "MODELS", "Exchange", "Fault", "HubServer", "Kind", "Switchboard"]
