"""The seam to the places where a network can run: what a target is, how it is found, what a chip says."""
