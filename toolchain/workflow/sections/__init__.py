"""The sections of an experiment file, each with every key that it takes."""
