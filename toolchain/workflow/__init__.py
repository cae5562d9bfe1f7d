"""One module per verb of the command line, and what they share: experiments, folders, options."""
