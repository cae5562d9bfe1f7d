"""Loihi 1 and Loihi 2 without a chip on the desk: what fits, on which cores, and what a step would cost."""
