"""The `recorder` command: one file a command; a command parses, calls one library function, prints."""
