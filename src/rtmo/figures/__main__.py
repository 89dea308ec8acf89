"""Commands that draw the paper's figures: ``python -m rtmo.figures COMMAND``."""

from rtmo.subcommands import Subcommand, run

COMMANDS = {
    "heatmaps": Subcommand("rtmo.figures.heatmaps", "heatmaps of joints over the image (figure 4)"),
    "spread": Subcommand("rtmo.figures.spread", "learned spread against OKS, grid by grid (figure 5)"),
    "bins": Subcommand("rtmo.figures.bins", "heatmaps with and without dynamic bin encoding (figure 6)"),
    "latency": Subcommand("rtmo.figures.latency", "latency against the number of people found (figure 3)"),
}

if __name__ == "__main__":
    run("rtmo.figures", COMMANDS)
