"""Networks for one small core in Verilog: memory images, its simulation, and what a board is given."""
