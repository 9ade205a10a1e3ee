"""Values to bytes and back; nothing here does I/O."""
