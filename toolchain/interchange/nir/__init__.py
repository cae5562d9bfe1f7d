"""NIR files: networks of snnTorch, Norse, sinabs, SpikingJelly and others, in and out."""
