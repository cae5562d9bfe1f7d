"""`python -m pumice`: the command without its script."""

from pumice.command import main

main()
