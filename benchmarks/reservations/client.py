"""
One contender's client processes. Runs in the contender's own interpreter, so it stands on the standard library alone.

Reads orders as JSON lines (set up, run a round, check), answers each with a JSON line. The processes are forked once
and wait, so that a round measures calls and not starting.
"""

import importlib.util
import json
import multiprocessing
import sys
import threading
import time
import traceback
from pathlib import Path

SUBJECTS = Path(__file__).parent / "subjects"
PROCESSES = 8
MANY_ACCOUNTS = 500
HEAD_START_S = 0.05


def main() -> int:
    """Serve the subject named first on the command line until standard input ends."""
    subject = load(sys.argv[1])
    config = json.loads(sys.argv[2])
    context = multiprocessing.get_context("fork")
    workers = [Worker(context, subject, config, number) for number in range(PROCESSES + 1)]
    orders = {"setup": setup, "round": run_round, "drain": drain, "check": check}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = orders[order["do"]](workers, order)
        # Whatever a contender raises is told, by its name, and the others go on.
        except Exception as error:  # noqa: BLE001
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), flush=True)
    for worker in workers:
        worker.end()
    return 0


def load(name):
    """The module of a subject, loaded by its path: a peer's interpreter does not have this package."""
    spec = importlib.util.spec_from_file_location(f"subject_{name}", SUBJECTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def setup(workers, _order):
    """Make the accounts: one hot and many."""
    return workers[-1].ask({"do": "setup", "accounts": [account_of("hot", 0), *many_accounts()]})


def run_round(workers, order):
    """Let some of the processes call for some seconds; answers what they did, together with settling if asked for."""
    callers, settler = workers[: order["processes"]], workers[-1]
    for worker in callers:
        worker.tell({"do": "prepare", **{name: order[name] for name in ("variant", "threads")}})
    for worker in callers:
        worker.hear()
    order = {**order, "start_s": time.monotonic() + HEAD_START_S}
    if order["settles"]:
        settler.tell({**order, "do": "settle"})
    for worker in callers:
        worker.tell({**order, "do": "call"})
    answers = [worker.hear() for worker in callers]
    if order["settles"]:
        settler.done()
        settler.hear()
    wall_s = time.monotonic() - order["start_s"]
    latencies = sorted(took for answer in answers for took in answer["latencies_ms"])
    return {
        "operations": sum(answer["operations"] for answer in answers),
        "wall_s": wall_s,
        "cpu_s": sum(answer["cpu_s"] for answer in answers),
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[int(len(latencies) * 0.99)],
    }


def drain(workers, _order):
    """Finish what rounds have left over, so that the next one begins with nothing."""
    return workers[-1].ask({"do": "drain"})


def check(workers, _order):
    """What the contender's own books say was spent; an error if they do not add up."""
    return workers[-1].ask({"do": "check"})


class Worker:
    """A forked process that does what it is told."""

    def __init__(self, context, subject, config, number):
        self._here, there = context.Pipe()
        self._stop = context.Event()
        self._process = context.Process(target=serve, args=(there, self._stop, subject, config, number), daemon=True)
        self._process.start()

    def tell(self, order):
        self._stop.clear()
        self._here.send(order)

    def hear(self):
        answer = self._here.recv()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, order):
        self.tell(order)
        return self.hear()

    def done(self):
        self._stop.set()

    def end(self):
        self._here.send(None)
        self._process.join(timeout=5)


def serve(pipe, stop, subject, config, number):
    """The forked process: connections are made here, and kept from round to round."""
    calls = {}
    while (order := pipe.recv()) is not None:
        try:
            answer = obey(order, stop, subject, config, number, calls)
        # The order's giver is told; the process goes on.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        pipe.send(answer)


def obey(order, stop, subject, config, number, calls):
    match order["do"]:
        case "setup":
            subject.setup(config, order["accounts"])
        case "check":
            return {"spent": subject.spent(config)}
        case "drain" if hasattr(subject, "settle_until"):
            subject.settle_until(config, lambda: True)
        case "settle":
            subject.settle_until(config, stop.is_set)
        case "prepare" if (order["variant"], order["threads"]) not in calls:
            accounts = [account_of("hot", 0), *many_accounts()]
            calls[order["variant"], order["threads"]] = subject.connect(
                config, order["variant"], order["threads"], accounts
            )
        case "call":
            return call_repeatedly(calls[order["variant"], order["threads"]], order, number)
    return {}


def call_repeatedly(call, order, number):
    """Call in `threads` threads until the time is over, at `rate` calls a second if one is given."""
    found = []
    threads = [
        threading.Thread(target=lambda thread=thread: found.append(one_thread(call, order, number, thread)))
        for thread in range(order["threads"])
    ]
    cpu_s = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) < len(threads):
        raise RuntimeError("a call failed; see what was printed above")
    latencies = [took for _, part in found for took in part]
    return {
        "operations": sum(count for count, _ in found),
        "cpu_s": time.process_time() - cpu_s,
        "latencies_ms": latencies,
    }


def one_thread(call, order, number, thread):
    clock = time.perf_counter
    accounts = [account_of("hot", 0)] if order["accounts"] == "hot" else many_accounts()
    first = (number * 37 + thread * 11) % len(accounts)
    rate, latencies, count = order["rate"], [], 0
    while time.monotonic() < order["start_s"]:
        time.sleep(0.001)
    began_s = clock()
    until_s = began_s + order["seconds"]
    while True:
        due_s = began_s + count / rate if rate else clock()
        if due_s > clock():
            time.sleep(max(0.0, due_s - clock()))
        if clock() >= until_s:
            return count, latencies
        call(accounts[(first + count) % len(accounts)], f"{order['name']}-{number}-{thread}-{count}")
        latencies.append((clock() - due_s) * 1000)
        count += 1


def account_of(kind, number):
    """The name of an account."""
    return f"{kind}_{number}"


def many_accounts():
    return [account_of("many", number) for number in range(MANY_ACCOUNTS)]


if __name__ == "__main__":
    sys.exit(main())
