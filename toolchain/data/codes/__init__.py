"""`[encoding]`: from samples to what enters a network."""
