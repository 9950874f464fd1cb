"""Faults: pure functions of (script, parameters, random stream) that give a script. See `recorder.faults`."""

from . import chunks, claude, connection, events, session, times

__all__ = ["chunks", "claude", "connection", "events", "session", "times"]
"""The modules that fill the catalogue."""
