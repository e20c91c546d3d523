"""Two ranks on one GPU, where a machine has no second one: a worker class for vLLM's ``--worker-cls``.

NCCL refuses two ranks on a device. vLLM's own all-reduce does not: its ranks meet in memory that they share by CUDA
IPC, and it runs inside CUDA graphs as on two GPUs. What else the ranks exchange goes through the host, by gloo. The
GPU runs its processes in turns: each rank computes what it would on a GPU of its own, but not in that time or memory.
"""

from typing import Any, Final

from vllm.distributed.device_communicators import custom_all_reduce
from vllm.platforms import current_platform
from vllm.v1.worker.gpu_worker import Worker

_LARGEST_BYTES: Final = 128 * 2**20  # above 8,192 tokens of 8 KiB, a step's hidden states: two GPUs leave them to NCCL


class _Allreduce(custom_all_reduce.CustomAllreduce):
    """VLLM's own, for whole chunks of prompts too."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **{**named, "max_size": _LARGEST_BYTES})


class SharingWorker(Worker):
    """A worker that takes the first GPU, whatever its rank."""

    def init_device(self) -> None:
        """Say so to vLLM before it looks for the rank's GPU and for its peers."""
        self.parallel_config.assigned_physical_gpu_ids = [0] * self.parallel_config.world_size
        type(current_platform).dist_backend = "gloo"
        custom_all_reduce.CustomAllreduce = _Allreduce
        # two ranks on one device need no link: asked about peers, CUDA would be asked about a device and itself
        custom_all_reduce._can_p2p = lambda rank, world_size: True  # noqa: ARG005, SLF001
        super().init_device()
