"""Poses in images, videos and from cameras: ``python -m rtmo.predict``; ``--help`` lists what can be set."""

import io
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from rtmo import config
from rtmo.commands import quoted
from rtmo.errors import InputError
from rtmo.inference.outputs import RESULTS, Outputs
from rtmo.inference.predictor import Predictor
from rtmo.inference.sources import Faults, Frame, Source, find_sources, read_frames
from rtmo.inference.stream import predict_stream
from rtmo.inference.video import silence
from rtmo.types import Poses

NETWORK = ("backend", "device", "precision", "compile", "image_size", "score_thr", "nms_thr")
WRITING = ("draw", "boxes", "keypoint_thr", "line_width", "csv", "track", "smooth")
KEYS = frozenset(("checkpoint", "media", "output", "overwrite", "batch_size", "max_frames", *NETWORK, *WRITING))


def is_path(value: Any) -> bool:
    return type(value) in (str, int)  # a name may be a number


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def is_from_0_to(most: float, value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= most


CHECKS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "media": ("a path, a pattern or the number of a camera", is_path),
    **dict.fromkeys(("checkpoint", "output"), ("a path", is_path)),
    **dict.fromkeys(("backend", "device", "precision"), ("auto or a name", lambda value: isinstance(value, str))),
    **dict.fromkeys(
        ("overwrite", "compile", "draw", "boxes", "csv"), ("true or false", lambda value: isinstance(value, bool))
    ),
    "track": ("true, false or null", lambda value: value is None or isinstance(value, bool)),
    "batch_size": ("a whole number from 1 on", is_count),
    "max_frames": ("a whole number from 1 on, or null", lambda value: value is None or is_count(value)),
    **dict.fromkeys(("score_thr", "nms_thr", "keypoint_thr"), ("a number from 0 to 1", partial(is_from_0_to, 1))),
    "line_width": ("a number from 0 to 10", partial(is_from_0_to, 10)),
    "smooth.min_cutoff": ("a number above 0", lambda value: is_from_0_to(inf, value) and value > 0),
    "smooth.beta": ("a number from 0 on", partial(is_from_0_to, inf)),
}

EXIT_CTRL_C = 130  # as shells have it of Ctrl-C
MOST_NAMES = 10  # in the message at the end; all are named when they are met


def overrides(arguments: Sequence[str]) -> list[str]:
    """Arguments as Hydra reads them: there is a group ``source`` of conf/, whose choice ``source=...`` would be.

    Its value is put in quotes, unless it has them: Hydra would not read names such as ``IMG (1).jpg``.
    """
    return [
        f"media={value if _has_quotes(value) else quoted(value)}" if option == "source" else argument
        for argument in arguments
        for option, _, value in [argument.partition("=")]
    ]


def _has_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"


def prepare(cfg: DictConfig) -> None:
    """Names the option, not its key, where it was not given."""
    if OmegaConf.is_missing(cfg, "media"):
        raise InputError("source: has no value; give source=..., an image, a video, a folder or a camera's number")


@config.main("predict", KEYS, prepare=prepare)
def from_config(cfg: dict[str, Any]) -> None:
    silence()
    predict(cfg)


def main() -> None:
    """Predicts, and prints where everything is."""
    sys.argv[1:] = overrides(sys.argv[1:])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold bytes that are no text
    from_config()


def predict(cfg: Mapping[str, Any]) -> None:
    """Finds the people of everything that a source names; writes ``predictions.json`` and what is drawn.

    Args:
        cfg: As ``rtmo.config.validate`` returns it.

    Raises:
        InputError: If an option cannot be used, or once all else is done, if a file could not be read.
        SystemExit: After Ctrl-C, with what was done by then in place.
    """
    check_values(cfg)
    folder, faults = Path(str(cfg["output"])), Faults()
    check_folder(folder, cfg["overwrite"])
    sources = find_sources(cfg["media"], faults, leave_out=folder)
    predictor = Predictor(str(cfg["checkpoint"]), **{name: cfg[name] for name in NETWORK})
    frames = read_frames(sources, faults, cfg["max_frames"])
    started = time.monotonic()
    try:
        outputs = Outputs(folder, sources, predictor.skeleton, **{name: cfg[name] for name in WRITING})
        was_interrupted = run(predictor, frames, outputs, len(sources), cfg)
    except OSError as error:
        raise InputError(f"output={folder}: cannot be written ({error}); choose another place") from error
    if outputs.num_frames:
        speed = outputs.num_frames / (time.monotonic() - started)
        print(
            f"{outputs.num_people} people in {outputs.num_frames} frames, {speed:.1f} frames/s "
            f"({predictor.backend.description}): {folder / RESULTS}"
        )
    if was_interrupted:
        print("stopped; what was done by then is complete")
        raise SystemExit(0 if sources[0].kind == "camera" else EXIT_CTRL_C)
    refuse(faults, sources, folder)


def run(
    predictor: Predictor, frames: Iterable[Frame], outputs: Outputs, num_sources: int, cfg: Mapping[str, Any]
) -> bool:
    """Predicts all frames with a bar of progress; True if Ctrl-C ended it."""
    was_interrupted = False
    try:
        with FrameProgress(num_sources, cfg["max_frames"]) as progress:

            def write(frame: Frame, poses: Poses) -> None:
                outputs.write(frame, poses)
                progress.advance(frame)

            try:
                predict_stream(predictor, frames, write, batch_size=cfg["batch_size"])
            except KeyboardInterrupt:
                was_interrupted = True
        if outputs.num_frames:
            outputs.close()
    finally:
        outputs.discard()
    return was_interrupted


def check_values(cfg: Mapping[str, Any]) -> None:
    """Refuses values that no constructor would."""
    values = {**cfg, **{f"smooth.{name}": value for name, value in (cfg["smooth"] or {}).items()}}
    for name, (expected, is_right) in CHECKS.items():
        if name in values and not is_right(values[name]):
            raise InputError(f"{name.replace('media', 'source')}: expected {expected}, got {values[name]!r}")


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuses an output that is a file, or holds files that nobody said may go."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"output={folder}: a file, where a folder is expected; choose another name")
        if not overwrite and folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"output={folder}: holds files already; choose a new folder, or say overwrite=true")
    except OSError as error:
        raise InputError(f"output={folder}: cannot be opened ({error.strerror}); choose another place") from error


def refuse(faults: Faults, sources: Sequence[Source], folder: Path) -> None:
    """Raises what could not be read, if anything: its own message where there was one file only."""
    names = list(faults.messages)
    if not names:
        return
    num_met = len({source.name for source in sources}.union(names))  # folders that cannot be opened are no sources
    if num_met == 1:
        raise InputError(faults.messages[names[0]])
    more = f" and {len(names) - MOST_NAMES} more, all named above" if len(names) > MOST_NAMES else ""
    raise InputError(
        f"{len(names)} of {num_met} files could not be read, or not to their end: "
        f"{', '.join(names[:MOST_NAMES])}{more}; all else is in {folder}"
    )


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f} frames/s")


class FrameProgress:
    """A bar of frames on a terminal; nothing elsewhere, where a line at the end says it all.

    Args:
        num_sources: Each counts as a frame until it is known to be a video of more.
        max_frames: Of each video.
    """

    def __init__(self, num_sources: int, max_frames: int | None) -> None:
        self._max_frames = max_frames
        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn(compact=True))
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=num_sources)
        self._total: float = num_sources

    def advance(self, frame: Frame) -> None:
        """Counts a frame that is done."""
        if frame.number == 0 and frame.video is not None and frame.video.num_frames is not None:
            self._total += min(frame.video.num_frames, self._max_frames or frame.video.num_frames) - 1
        self._bar.update(self._task, advance=1, total=self._total)

    def __enter__(self) -> "FrameProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


if __name__ == "__main__":
    main()
