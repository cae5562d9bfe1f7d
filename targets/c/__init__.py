"""The network as plain C for any processor."""
