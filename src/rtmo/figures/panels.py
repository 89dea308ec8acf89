"""Panels that several figures share, and files of figures."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.lib.stride_tricks import sliding_window_view

from rtmo.drawing import draw_poses
from rtmo.errors import InputError
from rtmo.figures.found import Found
from rtmo.skeletons import KeypointSet

# Okabe and Ito's, told apart by people of any colour vision
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
HEAT = "inferno"
DPI = 120
_NEIGHBOURS = 2  # bins to each side
_CURVE, _GAP = 0.3, 0.04  # height of a curve beside a picture and its distance, as shares of the picture


def show_heatmap(axes: Axes, found: Found, person: int, joint: int, colour: str = BLUE) -> None:
    """The heatmap of a joint over the part of the image that the person's bins span.

    The colour is the product of the two 1-D heatmaps, a little widened, for a single bin is too small to be seen. The
    curves below and at the right are the heatmaps themselves, each as high as its own peak; dotted lines lead to them
    from the joint, their mean.
    """
    codes = found.codes
    x, y = codes.bins_x[person].numpy(), codes.bins_y[person].numpy()
    heat_x, heat_y = (heat[person, joint] / heat[person, joint].max() for heat in (codes.heatmap_x, codes.heatmap_y))
    (left, right), (top, bottom) = x[[0, -1]].tolist(), y[[0, -1]].tolist()
    _show_crop(axes, found.image, left, top, right, bottom)
    heat = np.outer(_widened(heat_y.numpy()), _widened(heat_x.numpy()))
    # square roots: what is a hundredth of the peak still shows
    axes.imshow(heat, cmap=HEAT, alpha=np.sqrt(heat), extent=(left, right, bottom, top), vmin=0, vmax=1)
    height, width = _CURVE * (bottom - top), _CURVE * (right - left)
    below, beside = bottom + _GAP * (bottom - top), right + _GAP * (right - left)
    axes.fill_between(x, below, below + height * heat_x.numpy(), color=colour, linewidth=0)
    axes.fill_betweenx(y, beside, beside + width * heat_y.numpy(), color=colour, linewidth=0)
    joint_x, joint_y = codes.keypoints[person, joint].tolist()
    line: dict[str, Any] = {"color": "white", "linestyle": (0, (2, 4)), "linewidth": 0.8}
    axes.plot([joint_x, joint_x], [joint_y + _GAP * (bottom - top), bottom], **line)
    axes.plot([joint_x + _GAP * (right - left), right], [joint_y, joint_y], **line)
    axes.set(xlim=(left, beside + width), ylim=(below + height, top), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)


def show_person(axes: Axes, found: Found, person: int, skeleton: KeypointSet) -> None:
    """The image with one person drawn on it, its score as title."""
    drawn = draw_poses(
        found.image,
        found.codes.keypoints[person, None].numpy(),
        skeleton=skeleton,
        bboxes=found.bboxes[person, None].numpy(),
        min_height=480,
    )
    axes.imshow(drawn[..., ::-1])
    axes.set(xticks=[], yticks=[], title=f"score {found.scores[person]:.2f}")


def write_figure(figure: Figure, file: Path) -> Path:
    """Writes a figure, making its folder.

    Raises:
        InputError: If it cannot be written.
    """
    with _writing(file):
        figure.savefig(file, dpi=DPI)
    return file


def write_rows(rows: Sequence[Mapping[str, Any]], file: Path) -> Path:
    """Writes rows with the same fields as CSV, making its folder; numbers to five digits after the point.

    Raises:
        InputError: If it cannot be written.
    """
    with _writing(file), file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}
            )
    return file


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    """Makes the folder of a file, and has failures name the option that chose it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(f"output={file.parent}: cannot be written ({error}); choose another place") from error


def _widened(heatmap: Float[np.ndarray, " X"]) -> Float[np.ndarray, " X"]:
    """Each bin as high as the highest of its neighbours."""
    return sliding_window_view(np.pad(heatmap, _NEIGHBOURS), 2 * _NEIGHBOURS + 1).max(axis=-1)


def _show_crop(
    axes: Axes, image: UInt8[np.ndarray, "H W 3"], left: float, top: float, right: float, bottom: float
) -> None:
    """A part of an image, dim and without colour, so that what is drawn over it stands out; grey beyond the image."""
    frame = Rectangle((left, top), right - left, bottom - top, facecolor="0.6", linewidth=0, zorder=-1)
    axes.add_patch(frame)
    shown = axes.imshow(0.8 * image.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
    shown.set_clip_path(frame)
