"""Sound: folders of WAV files, and a bank of filters like a cochlea's."""
