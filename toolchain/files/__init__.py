"""Files as they are read and written: whole or not at all, hashed, within limits, and never as code."""
