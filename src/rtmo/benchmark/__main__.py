"""Commands that measure: ``python -m rtmo.benchmark COMMAND``."""

from rtmo.subcommands import Subcommand, run

COMMANDS = {
    "data": Subcommand("rtmo.benchmark.data", "images/s that one process loads and augments, and where the time goes"),
    "predict": Subcommand("rtmo.benchmark.predict", "latency of prediction by backend, image size, people and model"),
    "train": Subcommand("rtmo.benchmark.train", "time of a training step by part, memory, share of the machine's peak"),
    "evaluation": Subcommand("rtmo.benchmark.evaluation", "how much faster than pycocotools AP and AR are computed"),
}

if __name__ == "__main__":
    run("rtmo.benchmark", COMMANDS)
