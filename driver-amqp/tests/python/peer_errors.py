"""Exceptions of a Python service, in a module of their own: callers must name it in `allowed_remote_exmods`."""


class Refused(Exception):
    """Keeps its keyword arguments where the reference looks for them when it sends an exception."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args)
        self.kwargs = kwargs
