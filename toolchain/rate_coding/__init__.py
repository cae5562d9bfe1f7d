"""Networks of rectified units as spiking networks whose rates stand for their activations."""
