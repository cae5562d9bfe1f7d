"""From the core in Verilog to FPGAs that people can buy: synthesis, place and route, bitstreams, boards."""
