"""Commands about data sets: ``python -m rtmo.data COMMAND``."""

from rtmo.subcommands import Subcommand, run

COMMANDS = {
    "get": Subcommand("rtmo.data_commands.get", "downloads data sets, or says how to get them", words="sets"),
    "convert": Subcommand("rtmo.data_commands.convert", "turns annotations of another format into COCO's"),
    "check": Subcommand(
        "rtmo.data_commands.check", "looks for faults before training does", flags={"--fix": "fix=true"}
    ),
    "stats": Subcommand("rtmo.data_commands.stats", "counts and plots what a data set holds"),
    "preview": Subcommand("rtmo.data_commands.preview", "draws samples, as stored and as training sees them"),
    "shard": Subcommand("rtmo.data_commands.shard", "packs data sets into shards to stream"),
}

if __name__ == "__main__":
    run("rtmo.data", COMMANDS)
