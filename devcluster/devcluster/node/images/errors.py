"""What goes wrong on the way to an image."""


class ImagesError(Exception):
    """An image can be neither found nor built; ``str()`` says why and what to do."""
