"""Replay: recordings answer the real SDK, below it, at the httpx2 transport. No key, no network."""
