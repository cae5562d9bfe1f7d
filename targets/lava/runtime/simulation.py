"""Runs the processes of a job to their end; what they do is recorded in files."""

from typing import Any

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from .building import Processes, build_layers, build_mixed, build_stock, late_biases
from .documents import LavaNetwork, Numbers
from .jobs import LavaJob
from .models import Models


class Observer:
    """What watches simulations; does nothing by itself."""

    def begin(self, sample: int, processes: Processes) -> None:
        """Look at what was built, before it runs.

        Args:
            sample: First sample of the simulation.
            processes: Processes by name.
        """

    def start(self, top: Any) -> None:  # noqa: ANN401 - Lava ships no types
        """Look at processes that are about to run.

        Args:
            top: One of the processes, which are all connected.
        """

    def finish(self, names: set[str]) -> None:
        """Look at processes that have run and are about to be stopped."""


def simulate(job: LavaJob, observer: Observer, configuration: Any = None) -> None:  # noqa: ANN401
    """Run a job to its end.

    Args:
        job: The job.
        observer: What watches it.
        configuration: Lava's choice of models; by default those of the CPU simulator.
    """
    chosen = _on_the_cpu(job) if configuration is None else configuration
    match job.run.models:
        case Models.MIXED:
            _run(job, build_mixed(job), 0, observer, chosen)
        case Models.LAYERS:
            _run(job, build_layers(job), 0, observer, chosen)
        case Models.STOCK:
            for sample in range(job.run.samples):
                _run(job, build_stock(job, sample), sample, observer, chosen)


def _on_the_cpu(job: LavaJob) -> Loihi2SimCfg:
    """Return Lava's models of integers or real numbers, but for `Conv` ours where not all are Lava's own."""
    models: dict[Any, Any] = {}
    if job.run.models is Models.MIXED and job.network.convolutions:
        from lava.proc.conv.process import Conv  # noqa: PLC0415 - slow to import, and few networks need it

        from .convolution import FixedConvolutionModel, FloatConvolutionModel  # noqa: PLC0415

        fixed = job.network.numbers is Numbers.FIXED
        models = {Conv: FixedConvolutionModel if fixed else FloatConvolutionModel}
    return Loihi2SimCfg(select_tag=job.network.numbers.value, exception_proc_model_map=models)


def _run(job: LavaJob, processes: Processes, sample: int, observer: Observer, configuration: Any) -> None:  # noqa: ANN401
    """Run connected processes to their end; set biases when the turn of their populations comes."""
    stock = job.run.models is Models.STOCK
    steps, late = job.windows.total, late_biases(job) if stock else {}
    if stock:
        steps = job.windows.period
    observer.begin(sample, processes)
    for names in connected_parts(job.network, job.run.models):
        top, done = processes[min(names)], 0
        biases = {name: bias for name, bias in late.items() if name in names}
        observer.start(top)
        for stop in sorted({steps, *(step for step, _ in biases.values())}):
            top.run(condition=RunSteps(num_steps=stop - done), run_cfg=configuration)
            done = stop
            for name, (step, bias) in biases.items():
                if step == stop:
                    processes[name].bias_mant.set(bias)
        observer.finish(names)
        top.stop()


def connected_parts(network: LavaNetwork, models: Models) -> list[set[str]]:
    """Return the names of the processes that are connected: Lava runs one such part at a time.

    Two populations that read one source are connected by it only where the source is a process.
    """
    part = {name: {name} for name in network.process_names(models)}
    for link in network.links:
        first, *others = [name for name in (link.source, link.name, link.target) if name in part]
        for name in others:
            if part[name] is not part[first]:
                part[first] |= part[name]
                part |= dict.fromkeys(part[name], part[first])
    return list({id(names): names for names in part.values()}.values())
