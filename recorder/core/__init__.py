"""The pure part: no clock, no file, no socket, no thread. Bytes and times in, records and values out."""
