"""Where the loss comes from."""
