"""Time series to predict."""
