"""What the quantizer is made of: scales, rounding, drives, ranges, and the report on them."""
