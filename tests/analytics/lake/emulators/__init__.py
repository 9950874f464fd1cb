from pathlib import Path

INSTALLED = Path(__file__).parents[4] / ".cache" / "emulators"
"""Where `install`, beside this file, puts them."""
