"""Fixed graphs on the CPU: compiled loops over blocks of steps, integers bit for bit as Lava's."""
