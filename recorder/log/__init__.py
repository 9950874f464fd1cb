"""Files: segments are written here, by one thread, and read back, strictly or salvaging."""
