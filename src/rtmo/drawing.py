"""Skeletons, boxes and contact sheets on images, for previews, validation pictures and inference.

Left is orange, right is blue, what lies between is white: people of any colour vision tell them apart, so that a swap
of left and right shows at a glance. Left and right are the person's own.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rtmo.skeletons import KeypointSet
from rtmo.types import Poses, Sample

Colour = tuple[int, int, int]
Side = Literal["left", "right", "centre"]

# BGR
SIDE_COLOURS: dict[Side, Colour] = {"left": (20, 140, 255), "right": (255, 170, 50), "centre": (245, 245, 245)}
_IGNORED: Colour = (190, 60, 200)
_OUTLINE: Colour = (25, 25, 25)  # around every mark, so that it shows on any background
_PAPER: Colour = (32, 32, 32)  # behind titles and between pictures
_INK: Colour = (235, 235, 235)
# Of boxes whose people have identities: hues of Okabe and Ito, and of Tol, that no side has, unlike in brightness too.
_IDENTITY_COLOURS: tuple[Colour, ...] = ((115, 158, 0), (66, 228, 240), (119, 51, 170), (215, 185, 240))

_SHIFT = 4  # binary digits after the point in coordinates given to OpenCV: marks sit where the joint is, not on pixels
_FAR = 1e5  # px; joints further out are moved here, for OpenCV counts in 32 bits
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_poses(
    image: UInt8[np.ndarray, "H W 3"],
    keypoints: Float[np.ndarray, "N K 2"],
    *,
    skeleton: KeypointSet,
    visibility: UInt8[np.ndarray, "N K"] | None = None,
    keypoint_scores: Float[np.ndarray, "N K"] | None = None,
    keypoint_thr: float = 0.3,
    bboxes: Float[np.ndarray, "N 4"] | None = None,
    labels: Sequence[str] | None = None,
    identities: Sequence[int] | None = None,
    line_width: float = 1.0,
    min_height: int = 0,
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of an image with people drawn on it, the first on top.

    Lines grow with the image and with the person. Joints that are not finite are left out.

    Args:
        image: BGR; not modified.
        keypoints: px of ``image``.
        skeleton: Its limbs are drawn.
        visibility: COCO flag of annotated joints: 0 is left out, 1 (hidden) is drawn hollow, 2 solid.
        keypoint_scores: Of predicted joints, 0..1: those below ``keypoint_thr`` are left out.
        keypoint_thr: See there.
        bboxes: Corners in px of ``image``.
        labels: One text per person, put at the top of its box, or of its joints without ``bboxes``.
        identities: One number per person, which decides the colour of its box and label; 0: not known.
        line_width: Of skeletons, times the usual.
        min_height: Smaller images are magnified to this height before drawing, so that skeletons stay legible.
    """
    canvas, scale = scaled(image, max(1.0, min_height / image.shape[0]))
    keypoints = keypoints.astype(np.float64) * scale
    flags = np.full(keypoints.shape[:2], 2) if visibility is None else visibility.astype(int)
    if keypoint_scores is not None:
        flags = np.where(keypoint_scores >= keypoint_thr, flags, 0)
    flags = np.where(np.isfinite(keypoints).all(-1), flags, 0)
    keypoints = np.nan_to_num(keypoints).clip(-_FAR, _FAR)
    corners = None if bboxes is None else bboxes.astype(np.float64) * scale
    colours = [_identity_colour(number) for number in identities or [0] * len(keypoints)]
    if corners is not None:
        _draw_boxes(canvas, corners, colours)
    for person in reversed(range(len(keypoints))):
        _draw_skeleton(canvas, keypoints[person], flags[person], skeleton, line_width)
        frame = _extent(keypoints[person], flags[person] > 0) if corners is None else corners[person]
        if labels is not None and frame is not None and np.isfinite(frame).all():
            _draw_label(canvas, labels[person], frame, colours[person] or _OUTLINE)
    return canvas


def draw_regions(image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """A copy of an image, tinted and hatched where a mask is set: regions that training ignores."""
    height, width = mask.shape
    spacing = max(6, round(0.02 * max(height, width)))
    row, column = np.ogrid[:height, :width]
    hatched = (row + column) % spacing < max(1, spacing // 5)
    drawn = image.copy()
    drawn[mask] = cv2.addWeighted(image, 0.65, np.full_like(image, _IGNORED), 0.35, 0)[mask]
    drawn[mask & hatched] = _IGNORED
    return drawn


def draw_predictions(
    image: UInt8[np.ndarray, "H W 3"],
    poses: Poses,
    *,
    skeleton: KeypointSet,
    score_thr: float = 0.3,
    keypoint_thr: float = 0.3,
    boxes: bool = True,
    identities: Sequence[int] | None = None,
    line_width: float = 1.0,
    min_height: int = 0,
) -> UInt8[np.ndarray, "h w 3"]:
    """``draw_poses`` of predicted people scored ``score_thr`` or more, each labeled with its score.

    With ``identities``, numbers of all people, the label says that of the person as well unless it is 0.
    """
    sure = poses.scores >= score_thr
    shown = None if identities is None else [identities[person] for person in sure.nonzero()[:, 0].tolist()]
    keypoints, keypoint_scores, bboxes, scores = (
        values[sure].detach().cpu().float().numpy()
        for values in (poses.keypoints, poses.keypoint_scores, poses.bboxes, poses.scores)
    )
    return draw_poses(
        image,
        keypoints,
        skeleton=skeleton,
        keypoint_scores=keypoint_scores,
        keypoint_thr=keypoint_thr,
        bboxes=bboxes if boxes else None,
        labels=[
            f"{number}: {score:.2f}" if number else f"{score:.2f}"
            for number, score in zip(shown or [0] * len(scores), scores, strict=True)
        ],
        identities=shown,
        line_width=line_width,
        min_height=min_height,
    )


def prediction_panel(
    sample: Sample,
    poses: Poses,
    *,
    skeleton: KeypointSet,
    score_thr: float = 0.3,
    keypoint_thr: float = 0.3,
    height: int = 360,
) -> UInt8[np.ndarray, "h w 3"]:
    """Ground truth on the left, predictions on the right, titled, with a legend of the sides.

    Args:
        sample: The original image and its people; those without a labeled joint are left out.
        poses: Predictions in px of that image.
        skeleton: Its limbs are drawn.
        score_thr: Predicted people scored below are left out.
        keypoint_thr: Likewise for their joints.
        height: Of the pictures in px; images are scaled to it.
    """
    image, scale = scaled(sample.pixels, height / sample.image_size[0])
    people = sample.select(np.any(sample.visibility > 0, axis=1))
    truth = draw_poses(
        image,
        people.keypoints * scale,
        skeleton=skeleton,
        visibility=people.visibility,
        bboxes=people.bboxes * scale,
    )
    in_panel = Poses(poses.bboxes * scale, poses.scores, poses.keypoints * scale, poses.keypoint_scores)
    predicted = draw_predictions(image, in_panel, skeleton=skeleton, score_thr=score_thr, keypoint_thr=keypoint_thr)
    halves = [titled(truth, "ground truth"), titled(predicted, "prediction", legend=True)]
    gap = np.full((halves[0].shape[0], 4, 3), _PAPER, dtype=np.uint8)
    return np.hstack([halves[0], gap, halves[1]])


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], columns: int = 2, gap: int = 12
) -> UInt8[np.ndarray, "h w 3"]:
    """Images in rows, each in the middle of a cell as large as the largest image.

    Raises:
        ValueError: If there is no image or no column.
    """
    if not images or columns < 1:
        raise ValueError(f"a contact sheet needs images and columns, got {len(images)} and {columns}")
    columns = min(columns, len(images))
    cell_height = max(image.shape[0] for image in images) + gap
    cell_width = max(image.shape[1] for image in images) + gap
    rows = -(-len(images) // columns)
    sheet = np.full((rows * cell_height + gap, columns * cell_width + gap, 3), _PAPER, dtype=np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        top = row * cell_height + (cell_height - image.shape[0] + gap) // 2
        left = column * cell_width + (cell_width - image.shape[1] + gap) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def titled(
    image: UInt8[np.ndarray, "H W 3"], title: str, legend: bool = False, height: int | None = None
) -> UInt8[np.ndarray, "h W 3"]:
    """The image below a bar with a title and, at its right end, what the colours mean.

    Args:
        title: Cut at the front where it is too long for the bar.
        height: Of the bar, px; None: a share of the image's.
    """
    height = height or max(16, round(image.shape[0] * 0.075))
    bar = np.full((height, image.shape[1], 3), _PAPER, dtype=np.uint8)
    size = height / 45
    baseline = round(height * 0.68)
    right = image.shape[1] - height // 4
    for side in ("right", "left") if legend else ():
        text_width = cv2.getTextSize(side, _FONT, size, 1)[0][0]
        cv2.putText(bar, side, (right - text_width, baseline), _FONT, size, _INK, 1, cv2.LINE_AA)
        right -= text_width + height // 3
        _disc(bar, np.array([right, height / 2]), height * 0.2, SIDE_COLOURS[side])
        right -= height // 2
    cut = title
    while len(cut) > 3 and cv2.getTextSize(cut, _FONT, size, 1)[0][0] > right - height // 4:
        title = title[1:]
        cut = f"...{title}"
    cv2.putText(bar, cut, (height // 4, baseline), _FONT, size, _INK, 1, cv2.LINE_AA)
    return np.vstack([bar, image])


def scaled(image: UInt8[np.ndarray, "H W 3"], scale: float) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
    """A scaled copy of the image, and the scale."""
    if scale == 1:
        return image.copy(), 1.0
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA), scale


def write_image(path: Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Writes a BGR image in the format of the path's suffix, making its folder; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # not cv2.imwrite: it says nothing where it fails, and on Windows it fails on names that are not ASCII
    encoded = cv2.imencode(path.suffix, image)[1].tobytes()
    try:
        path.write_bytes(encoded)
    except OSError:  # a disk that is full
        path.unlink(missing_ok=True)
        raise


def joint_sides(skeleton: KeypointSet) -> tuple[Side, ...]:
    """The side of every joint of a flip pair: from its name (right_hip, R_Hip), else the first of the pair is left."""
    sides: dict[str, Side] = {}
    for first, second in skeleton.flip_pairs:
        named_right = re.search(r"right|(^|_)r(_|$)", first.lower())
        sides[first], sides[second] = ("right", "left") if named_right else ("left", "right")
    return tuple(sides.get(joint, "centre") for joint in skeleton.joints)


def _draw_skeleton(
    canvas: UInt8[np.ndarray, "H W 3"],
    keypoints: Float[np.ndarray, "K 2"],
    flags: np.ndarray,
    skeleton: KeypointSet,
    line_width: float,
) -> None:
    """Draws one person in place: outlines first, so that no limb is cut by the outline of another."""
    shown = flags > 0
    extent = _extent(keypoints, shown)
    if extent is None:
        return
    image_size = float(np.sqrt(canvas.shape[0] * canvas.shape[1]))
    person_size = float(max(extent[2] - extent[0], extent[3] - extent[1]))
    usual_width = np.clip(0.02 * person_size, 0.0025 * image_size, 0.008 * image_size)
    width = max(1, round(line_width * usual_width))
    rim = max(1, round(0.4 * width))
    sides = joint_sides(skeleton)
    limbs = [limb for limb in skeleton.limb_indices if shown[list(limb)].all()]
    for colour, thickness in ((_OUTLINE, width + 2 * rim), (None, width)):
        for a, b in limbs:
            of_limb = colour or SIDE_COLOURS[_limb_side(sides[a], sides[b])]
            cv2.line(canvas, _fixed(keypoints[a]), _fixed(keypoints[b]), of_limb, thickness, cv2.LINE_AA, _SHIFT)
    for joint in np.flatnonzero(shown):
        colour = SIDE_COLOURS[sides[joint]]
        radius = width + 0.5
        _disc(canvas, keypoints[joint], radius + rim, _OUTLINE)
        _disc(canvas, keypoints[joint], radius, colour)
        if flags[joint] == 1:
            _disc(canvas, keypoints[joint], radius * 0.55, _OUTLINE)


def _limb_side(a: Side, b: Side) -> Side:
    """A limb belongs to a side if one end does and the other does not belong to the other side."""
    sides = {a, b} - {"centre"}
    return sides.pop() if len(sides) == 1 else "centre"


def _disc(canvas: UInt8[np.ndarray, "H W 3"], centre: Float[np.ndarray, "2"], radius: float, colour: Colour) -> None:
    cv2.circle(canvas, _fixed(centre), round(radius * 2**_SHIFT), colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_boxes(
    canvas: UInt8[np.ndarray, "H W 3"], bboxes: Float[np.ndarray, "N 4"], colours: Sequence[Colour | None]
) -> None:
    """Draws boxes in place: faint, for they must not compete with the skeletons; those with a colour less so."""
    thickness = max(1, round(0.0015 * max(canvas.shape[:2])))
    usable = np.flatnonzero(np.isfinite(bboxes).all(axis=1)).tolist()
    bboxes = bboxes.clip(-_FAR, _FAR)
    edges = [
        (edge, 0.9 if colours[person] else 0.55)
        for person in usable
        for edge in _edges(canvas, bboxes[person], margin=thickness + 6)
    ]
    before = [edge.copy() for edge, _ in edges]
    for person in usable:
        corners = _fixed(bboxes[person, :2]), _fixed(bboxes[person, 2:])
        inner = thickness + 1 if colours[person] else thickness
        for colour, width in ((_OUTLINE, inner + 2), (colours[person] or _INK, inner)):
            cv2.rectangle(canvas, *corners, colour, width, cv2.LINE_AA, _SHIFT)
    # Edges may overlap: all are blended from what was drawn, none from another's blend.
    blended = [
        cv2.addWeighted(edge, opacity, under, 1 - opacity, 0)
        for (edge, opacity), under in zip(edges, before, strict=True)
    ]
    for (edge, _), pixels in zip(edges, blended, strict=True):
        edge[:] = pixels


def _edges(
    canvas: UInt8[np.ndarray, "H W 3"], box: Float[np.ndarray, "4"], margin: int
) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """Views of the parts of a canvas that the four lines of a box lie in; not the whole, which may be large."""
    left, top, right, bottom = np.rint(box).astype(int).tolist()
    outer = slice(max(0, left - margin), max(0, right + margin)), slice(max(0, top - margin), max(0, bottom + margin))
    rows = [slice(max(0, y - margin), max(0, y + margin)) for y in (top, bottom)]
    columns = [slice(max(0, x - margin), max(0, x + margin)) for x in (left, right)]
    views = [canvas[row, outer[0]] for row in rows] + [canvas[outer[1], column] for column in columns]
    return [view for view in views if view.size]


def _draw_label(
    canvas: UInt8[np.ndarray, "H W 3"], text: str, box: Float[np.ndarray, "4"], colour: Colour = _OUTLINE
) -> None:
    """Text on a tab above the box, moved inside where the image ends."""
    size = _text_scale(min(canvas.shape[:2]))
    (width, ascent), descent = cv2.getTextSize(text, _FONT, size, 1)
    pad = max(2, ascent // 4)
    full_width, full_height = width + 2 * pad, ascent + descent + pad
    left = round(float(np.clip(box[0], 0, max(0, canvas.shape[1] - full_width))))
    top = round(float(np.clip(box[1] - full_height, 0, max(0, canvas.shape[0] - full_height))))
    cv2.rectangle(canvas, (left, top), (left + full_width - 1, top + full_height - 1), colour, cv2.FILLED)
    ink = _OUTLINE if np.dot(colour, (0.114, 0.587, 0.299)) > 110 else _INK  # by luminance
    cv2.putText(canvas, text, (left + pad, top + ascent + pad // 2), _FONT, size, ink, 1, cv2.LINE_AA)


def _identity_colour(number: int) -> Colour | None:
    return _IDENTITY_COLOURS[number % len(_IDENTITY_COLOURS)] if number else None


def _text_scale(side: int) -> float:
    return max(0.35, 0.0011 * side)


def _extent(keypoints: Float[np.ndarray, "K 2"], shown: Bool[np.ndarray, " K"]) -> Float[np.ndarray, "4"] | None:
    """The box around the joints that are shown."""
    points = keypoints[shown]
    return np.concatenate([points.min(0), points.max(0)]) if len(points) else None


def _fixed(point: Float[np.ndarray, "2"]) -> tuple[int, int]:
    """A position in OpenCV's fixed-point numbers."""
    x, y = np.rint(point * 2**_SHIFT).astype(int).tolist()
    return x, y
