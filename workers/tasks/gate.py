"""Tasks of the gate."""

from credits.db import transaction
from credits.job_runs import take_slot
from credits.queues import EVERY_S, Task
from credits.reservations import sweeps
from workers.app import app
from workers.runtime import gate_runtime, unloading


@app.task(name=Task.SETTLE_JOURNALS.value)
def settle_journals() -> None:
    """Book what Redis has taken and nobody waits for. However many beats tick, one worker does it per period."""
    if _is_mine(Task.SETTLE_JOURNALS):
        sweeps.settle_journals(gate_runtime())


@app.task(name=Task.SWEEP_GATE.value)
def sweep_gate() -> None:
    """Finish whatever is left lying between SQL and Redis. However many beats tick, one sweep runs per period."""
    if _is_mine(Task.SWEEP_GATE):
        sweeps.sweep_gate(gate_runtime(), unloading())


@app.task(name=Task.DELETE_OLD_LIBRARIES.value)
def delete_old_libraries() -> None:
    """Delete the scripts of releases that are gone for a day. Safe to repeat: who still needs them loads them again."""
    if _is_mine(Task.DELETE_OLD_LIBRARIES):
        sweeps.delete_old_libraries(gate_runtime())


def _is_mine(task: Task) -> bool:
    runtime = gate_runtime()
    with transaction(runtime.engine) as connection:
        return take_slot(connection, task.value, period_ms=int(EVERY_S[task] * 1000), now_ms=runtime.clock())
