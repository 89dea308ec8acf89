"""Programs of several commands, one word before the options: ``python -m rtmo.data check data=coco``."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from rtmo.errors import EXIT_INPUT_ERROR
from rtmo.targets import did_you_mean


@dataclass(frozen=True)
class Subcommand:
    """One word and what it stands for.

    Attributes:
        module: Its ``main`` is an entry point, made by ``config.main``; imported only when the word is said.
        summary: What it does, in a line.
        words: The option that bare words after the command are the list of: ``get coco mpii`` is
            ``get sets=[coco,mpii]``. None: it takes none.
        flags: Switches and the options they stand for: ``--fix`` is ``fix=true``.
    """

    module: str
    summary: str
    words: str | None = None
    flags: Mapping[str, str] = field(default_factory=dict)

    def overrides(self, arguments: Sequence[str]) -> list[str]:
        """Arguments as Hydra reads them."""
        words = list(itertools.takewhile(_is_word, arguments)) if self.words else []
        rest = [self.flags.get(argument, argument) for argument in arguments[len(words) :]]
        return [f"{self.words}=[{','.join(words)}]", *rest] if words else rest


def run(program: str, commands: Mapping[str, Subcommand]) -> None:
    """Runs the command that the first word of the command line names, with what follows as its options."""
    _, *arguments = sys.argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(program, commands))
        raise SystemExit(0 if arguments else EXIT_INPUT_ERROR)
    word, *rest = arguments
    if word not in commands:
        print(f"error: {program} {word}: no such command; {did_you_mean(word, commands)}", file=sys.stderr)
        raise SystemExit(EXIT_INPUT_ERROR)
    sys.argv = [f"{program} {word}", *commands[word].overrides(rest)]
    import_module(commands[word].module).main()


def _is_word(argument: str) -> bool:
    return "=" not in argument and not argument.startswith(("-", "+", "~"))


def _usage(program: str, commands: Mapping[str, Subcommand]) -> str:
    width = max(map(len, commands))
    lines = [f"  {word:{width}}  {command.summary}" for word, command in commands.items()]
    return "\n".join(
        [f"python -m {program} COMMAND [key=value ...]", "", *lines, "", f"python -m {program} COMMAND --help"]
    )
