"""The command line: thin, nothing is computed here."""
