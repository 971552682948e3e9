"""The processes of a run that a launcher has started: srun, torchrun, or :mod:`seisml.run.starting.processes`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytorch_lightning.plugins.environments import SLURMEnvironment

from seisml.errors import UserError

FIRST_PORT, PORTS = 15000, 10000  # where processes of several nodes meet, chosen by the number of the job


@dataclass(frozen=True)
class Launched:
    """Processes that a launcher has started for one run.

    Attributes:
        n_processes: On all nodes.
        per_node: On each node.
        says: What is missing in their environment for Lightning's ``LightningEnvironment``.
    """

    n_processes: int
    per_node: int
    says: dict[str, str] = field(default_factory=dict)

    @property
    def n_nodes(self) -> int:
        """Nodes that they run on."""
        return self.n_processes // self.per_node


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """The processes that a launcher has started, this one among them; None where there is no launcher.

    Lightning's own view of SLURM is not asked: it refuses ``--ntasks`` without ``--ntasks-per-node``, takes the batch
    script for a task, and requeues jobs with checkpoints of its own.

    Args:
        environment: Variables that launchers set.

    Raises:
        UserError: SLURM has put more tasks on one node than on another.
    """
    if "LOCAL_RANK" in environment:  # torchrun, or in_processes
        n_processes = int(environment.get("WORLD_SIZE", 1))
        return Launched(n_processes, int(environment.get("LOCAL_WORLD_SIZE", n_processes)))
    if "SLURM_STEP_NUM_TASKS" not in environment:
        return None
    n_processes, n_nodes = (int(environment[f"SLURM_STEP_NUM_{name}"]) for name in ("TASKS", "NODES"))
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", "1")  # 2(x3): two on each of three nodes; 2,1: uneven
    if "," in tasks:
        raise UserError(
            f"SLURM has put {tasks} tasks on the nodes, and processes that share batches need as many on each; set "
            f"--ntasks-per-node instead of --ntasks"
        )
    first = SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"])
    port = FIRST_PORT + (int(environment["SLURM_JOB_ID"]) + int(environment["SLURM_STEP_ID"])) % PORTS
    says = {
        "RANK": environment["SLURM_PROCID"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "NODE_RANK": environment["SLURM_NODEID"],
        "WORLD_SIZE": str(n_processes),
        "MASTER_ADDR": environment.get("MASTER_ADDR", first if n_nodes > 1 else "127.0.0.1"),
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }
    return Launched(n_processes, int(re.split(r"\D", tasks)[0]), says)


@contextmanager
def in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for this process, and for those started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
