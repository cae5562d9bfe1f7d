"""Recordings of event sensors, and the frames they are binned into."""
