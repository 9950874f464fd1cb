"""Recordings kept fit for tests: made, compared, looked after."""
