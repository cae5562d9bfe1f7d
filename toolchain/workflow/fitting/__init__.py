"""Prune to fit: networks are compiled while they are pruned, and the place they run on is asked."""
