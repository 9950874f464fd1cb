"""Import and export: raw event streams, the CLI `ant`, VCR cassettes, HAR; asciicast to look at.

Recordings of other tools are untrusted, and so is every size in them (`limits.py`). What such a format does not
hold, times above all, is marked as unknown in the recording, and metrics that need it are NULL.
"""

from __future__ import annotations

from .export import EXPORTS, Target, export_streams
from .limits import Refused
from .read import Format
from .write import Imported, import_file, names_of

__all__ = ["EXPORTS", "Format", "Imported", "Refused", "Target", "export_streams", "import_file", "names_of"]
