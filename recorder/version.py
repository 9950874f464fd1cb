"""The version, in one place: the log's header, the command line and the package agree on it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("sse-recorder")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"
