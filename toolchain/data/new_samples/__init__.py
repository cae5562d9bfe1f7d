"""New samples for a trained network: read and encoded as those of the training were."""
