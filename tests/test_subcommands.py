import sys
import types

import pytest

from rtmo.subcommands import Subcommand, run

COMMANDS = {
    "get": Subcommand("spoken", "gets", words="sets"),
    "check": Subcommand("spoken", "checks", flags={"--fix": "fix=true"}),
}


@pytest.fixture
def said(monkeypatch):
    """Runs a command line and returns what the command's own main saw of it."""

    def say(*arguments):
        seen = []
        module = types.ModuleType("spoken")
        module.main = lambda: seen.extend(sys.argv)
        monkeypatch.setitem(sys.modules, "spoken", module)
        monkeypatch.setattr(sys, "argv", ["__main__.py", *arguments])
        run("rtmo.example", COMMANDS)
        return seen

    return say


def test_options_go_to_the_command(said):
    assert said("get", "paths.data_dir=x") == ["rtmo.example get", "paths.data_dir=x"]


def test_bare_words_are_a_list(said):
    assert said("get", "coco", "mpii", "paths.data_dir=x", "--cfg", "job")[1:] == [
        "sets=[coco,mpii]",
        "paths.data_dir=x",
        "--cfg",
        "job",
    ]


def test_words_stay_where_the_command_takes_none(said):
    assert said("check", "coco")[1:] == ["coco"]  # which Hydra refuses


def test_flags_are_options(said):
    assert said("check", "data=coco", "--fix", "--help")[1:] == ["data=coco", "fix=true", "--help"]


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("--help",), 0)])
def test_without_a_word_it_lists_them(said, capsys, arguments, code):
    with pytest.raises(SystemExit) as ended:
        said(*arguments)
    assert ended.value.code == code
    assert "check  checks" in capsys.readouterr().out


def test_an_unknown_word_names_the_nearest(said, capsys):
    with pytest.raises(SystemExit) as ended:
        said("chek")
    assert ended.value.code == 2
    assert "rtmo.example chek: no such command; did you mean 'check'?" in capsys.readouterr().err
