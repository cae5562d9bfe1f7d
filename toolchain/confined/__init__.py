"""Files of strangers that a library trusts too much, read in a process with limits on time and memory."""
