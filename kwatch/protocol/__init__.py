"""The watch protocol without I/O: bytes in, events out. No clock, no socket, no thread."""
