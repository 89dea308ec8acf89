"""Cases of prediction or training, measured in turns by a worker process each."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from time import sleep
from typing import Any

from rtmo.benchmark.latency import Latency, in_turns
from rtmo.benchmark.prediction import DECODE, FIT, NETWORK, PARTS
from rtmo.benchmark.workers import OURS, Worker, WorkerError

PAUSE = 0.05  # s before a turn: threads of ONNX Runtime go on waiting for work, by spinning, for 20 to 40 ms
PREDICTION, NETWORK_DECODE, TOTAL = "prediction", "network and decode", "total"
SUMS = {NETWORK_DECODE: (NETWORK, DECODE), PREDICTION: (FIT, NETWORK, DECODE), TOTAL: PARTS}
Answers = list[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """What a worker process measures.

    Attributes:
        prepare: What it is told first.
        command: Starts it.
        parameters: Of the network.
        gflop: 10^9 floating-point operations of the network for an image; None where nobody knows.
    """

    prepare: Mapping[str, Any]
    command: Sequence[str] = OURS
    parameters: int | None = None
    gflop: float | None = None


@dataclass
class Row:
    """What was measured of a case.

    Attributes:
        description: Runtime, precision and device.
        milliseconds: Of a batch, by part and of the parts that ``SUMS`` adds.
        people: Found in the image.
        memory_mib: The most that the process held.
        parameters: Of the network.
        gflop: As in ``Case``.
        share_of_peak: Operations a second of the network, over those of the fastest product of matrices.
        ap: Of the same network on validation images.
        error: Why there are no numbers.
    """

    name: str
    batch: int
    description: str = ""
    milliseconds: dict[str, Latency] = field(default_factory=dict)
    people: int | None = None
    memory_mib: float | None = None
    parameters: int | None = None
    gflop: float | None = None
    share_of_peak: float | None = None
    ap: float | None = None
    error: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """What is known of it, in plain containers."""
        return {name: value for name, value in asdict(self).items() if value is not None and value != {}}


@dataclass
class Turn:
    """A worker and what it is asked whenever its turn comes; ``error`` ends that."""

    worker: Worker
    request: dict[str, Any]
    answers: Answers = field(default_factory=list)
    error: str | None = None

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The worker's answer; empty, now and from now on, if it is an error."""
        if self.error is not None:
            return {}
        try:
            return self.worker.ask(do, **request)
        except WorkerError as error:
            self.error = str(error)
            return {}


def measure_cases(
    cases: Mapping[str, Case],
    peaks: Mapping[str, Case],
    *,
    rounds: int,
    batch: int = 1,
    score: Mapping[str, Any] | None = None,
    work: Sequence[str] = (NETWORK,),
) -> tuple[list[Row], dict[str, float]]:
    """A row for each case, and what the machine can do, all in turns.

    Args:
        peaks: Products of matrices, by precision.
        rounds: Timed turns of each.
        batch: Images that go through the network together.
        score: Request for the AP of every case; None: nobody asks for it.
        work: The parts whose operations ``Case.gflop`` counts.

    Returns:
        The rows, and 10^9 floating-point operations a second of the fastest product by precision.
    """
    everything = {**cases, **{f"peak of {precision}": case for precision, case in peaks.items()}}
    with ExitStack() as stack:
        turns = {
            name: Turn(stack.enter_context(Worker(case.command)), {"batch": batch} if name in cases else {})
            for name, case in everything.items()
        }
        said = {name: turns[name].ask("prepare", **case.prepare) for name, case in everything.items()}
        run(turns, rounds)
        memory = {name: turns[name].ask("memory").get("mib") for name in cases}
        scores = {name: turns[name].ask("score", **score).get("AP") if score else None for name in cases}
    rates = {
        precision: 1000 * said[name]["gflop"] / min(answer["milliseconds"]["product"] for answer in turns[name].answers)
        for precision in peaks
        if turns[name := f"peak of {precision}"].error is None
    }
    rows = []
    for name, case in cases.items():
        row = row_of(name, batch, said[name].get("description", ""), turns[name])
        row.memory_mib, row.ap, row.parameters, row.gflop = memory[name], scores[name], case.parameters, case.gflop
        rate = next((rates[word] for word in row.description.split() if word in rates), None)
        if row.error is None and case.gflop is not None and rate is not None:
            milliseconds = sum(row.milliseconds[part].median_ms for part in work)
            row.share_of_peak = case.gflop * batch / milliseconds * 1000 / rate
        rows.append(row)
    return rows, rates


def measure_losses(
    cases: Mapping[str, Case], counts: Sequence[int], *, rounds: int, batch: int
) -> dict[str, list[Row]]:
    """For each case a row by people in an image, a process each: only the targets differ."""
    with ExitStack() as stack:
        turns = {}
        descriptions = {}
        for name, case in cases.items():
            first = Turn(stack.enter_context(Worker(case.command)), {})
            descriptions[name] = first.ask("prepare", **case.prepare).get("description", "")
            for count in counts:
                turns[f"{name} {count}"] = Turn(first.worker, {"people": count}, error=first.error)
        run(turns, rounds)
    return {
        name: [row_of(str(count), batch, descriptions[name], turns[f"{name} {count}"]) for count in counts]
        for name in cases
    }


def measure_people(case: Case, counts: Sequence[int], *, rounds: int) -> list[Row]:
    """A row for each number of people, all of one image and one process: only the threshold differs."""
    with Worker(case.command) as worker:
        first = Turn(worker, {})
        description = first.ask("prepare", **case.prepare).get("description", "")
        cuts = first.ask("cuts", people=sorted(counts)).get("cuts", [])
        turns = {str(cut["people"]): Turn(worker, {"score_thr": cut["score_thr"]}) for cut in cuts}
        run(turns, rounds)
    if first.error is not None:
        return [Row(str(count), 1, description, error=first.error) for count in counts]
    return [row_of(name, 1, description, turn) for name, turn in turns.items()]


def run(turns: Mapping[str, Turn], rounds: int) -> None:
    """Lets all take their turns; who fails is left out of the rest."""
    for name, counts in in_turns(turns, rounds=rounds):
        turn = turns[name]
        sleep(PAUSE)
        turn.ask("run", **turn.request)  # wakes threads, and fills the caches that others have had since
        answer = turn.ask("run", **turn.request)
        if counts and answer:
            turn.answers.append(answer)


def row_of(name: str, batch: int, description: str, turn: Turn) -> Row:
    """Times and people of a worker's turns."""
    if turn.error is not None:
        return Row(name, batch, description, error=turn.error)
    return Row(name, batch, description, latencies(turn.answers), turn.answers[-1]["people"])


def latencies(answers: Answers) -> dict[str, Latency]:
    """Of each part, and of sums of parts in the same turn; a worker may leave parts out."""
    times = [answer["milliseconds"] for answer in answers]
    found = {part: Latency.of([each[part] for each in times]) for part in times[0]}
    for name, parts in SUMS.items():
        if NETWORK in found:
            found[name] = Latency.of([sum(each.get(part, 0.0) for part in parts) for each in times])
    return found
