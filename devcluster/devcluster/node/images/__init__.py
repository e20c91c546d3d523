"""The images of the end-to-end tests, built where only package indexes are reachable, and kept as archives.

There is no registry: the base image is Debian, installed by debootstrap; the operator's image and the one that serves
are the project's own Dockerfiles on that base, built by a Docker engine that runs for as long as it builds. What a node
loads are archives in the cache, under a hash of everything they are made of.
"""

from devcluster.node.images.catalogue import IMAGES, OPERATOR, VLLM_CPU, Image
from devcluster.node.images.errors import ImagesError
from devcluster.node.images.store import check_room, ensure_images

__all__ = ["IMAGES", "OPERATOR", "VLLM_CPU", "Image", "ImagesError", "check_room", "ensure_images"]
