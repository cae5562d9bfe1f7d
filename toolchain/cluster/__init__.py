"""Work on many processes and machines, by Dask: a scheduler that is found or started, and its workers."""
