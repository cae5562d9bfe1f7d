"""The sections of an experiment file, a module each."""
