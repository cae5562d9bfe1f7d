"""Places where a graph can run. Each folder is one target, found by entry point."""
