"""What enters a network and what is recorded of it; the reference, which defines what a graph means."""
