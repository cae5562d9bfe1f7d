"""Work on many processes or machines, by Dask: the only wing that imports it, and only once it is needed.

Tasks are functions of paths and numbers. What is large lies in folders that every worker sees.
"""

from toolchain.cluster.flow import Flow
from toolchain.cluster.opening import Cluster, open_cluster
from toolchain.cluster.outcome import Outcome, RemoteError

__all__ = ["Cluster", "Flow", "Outcome", "RemoteError", "open_cluster"]
