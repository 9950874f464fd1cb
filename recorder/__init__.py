"""sse-recorder."""
