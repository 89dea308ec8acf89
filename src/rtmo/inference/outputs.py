"""The folder that predictions are written into: drawn images and videos, records of everybody found."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from rtmo.drawing import draw_predictions, write_image
from rtmo.errors import InputError
from rtmo.inference.records import ResultsFile, TableFile, describe, image_numbering
from rtmo.inference.smoothing import OneEuroSmoother
from rtmo.inference.sources import Frame, Source
from rtmo.inference.tracking import PoseTracker
from rtmo.inference.video import VideoWriter
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

RESULTS, TABLE = "predictions.json", "predictions.csv"
_WRITABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")  # by OpenCV; other images are drawn as .png


class Outputs:
    """Writes the predictions of frames that come in order.

    Args:
        folder: Made if it is missing.
        sources: All that frames will come from.
        skeleton: Of the poses.
        draw: Whether images and videos are drawn.
        boxes: Whether with boxes.
        keypoint_thr: Joints scored below are not drawn; records have all.
        line_width: Times the usual.
        csv: Whether a table is written beside the results.
        track: Whether people have identities; None: in videos. With True, the images of a folder are a sequence too.
        smooth: Arguments of ``OneEuroSmoother`` for the people of a video; None: not smoothed.

    Raises:
        InputError: If a source's drawing would have the name of another's, or lie over a source, or if people without
            identities are to be smoothed.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Source],
        skeleton: KeypointSet,
        *,
        draw: bool = True,
        boxes: bool = True,
        keypoint_thr: float = 0.3,
        line_width: float = 1.0,
        csv: bool = False,
        track: bool | None = None,
        smooth: Mapping[str, float] | None = None,
    ) -> None:
        if smooth is not None and (track is False or all(source.kind == "image" for source in sources)):
            raise InputError("smooth: is for the tracked people of a video; remove it, or give a video and track=true")
        self.folder, self.skeleton, self.track, self.smooth = folder, skeleton, track, smooth
        self._files = drawn_files(folder, sources) if draw else {}
        self._drawn = partial(
            draw_predictions,
            skeleton=skeleton,
            score_thr=0,
            keypoint_thr=keypoint_thr,
            boxes=boxes,
            line_width=line_width,
        )
        self._number = image_numbering(sources)
        self._records: list[ResultsFile | TableFile] = [ResultsFile(folder / RESULTS)]
        if csv:
            self._records.append(TableFile(folder / TABLE, skeleton))
        self._sequence: str | None = None
        self._tracker: PoseTracker | None = None
        self._smoother: OneEuroSmoother | None = None
        self._video: VideoWriter | None = None
        self.num_frames = self.num_people = 0

    def write(self, frame: Frame, poses: Poses) -> None:
        """Records and draws the people of a frame, px of its image."""
        self._enter(frame)
        identities = None if self._tracker is None else self._tracker.update(poses)
        if self._smoother is not None and identities is not None:
            poses = self._smoother.smooth(poses, identities)
        people = describe(frame, self._number(frame), poses, identities)
        for record in self._records:
            record.write(people)
        if frame.source in self._files:
            self._draw(frame, poses, identities)
        self.num_frames += 1
        self.num_people += len(people)

    def close(self) -> None:
        """Completes all files."""
        self._leave()
        for record in self._records:
            record.close()

    def discard(self) -> None:
        """Removes what is not complete, and the folder if nothing is left in it."""
        if self._video is not None:
            self._video.discard()
        for record in self._records:
            record.discard()
        with suppress(OSError):
            self.folder.rmdir()

    def _enter(self, frame: Frame) -> None:
        """Starts tracking and the drawn video anew where a video begins, or the images of another folder."""
        name = frame.source.name
        sequence = str(PurePosixPath(name).parent) if frame.video is None else name
        if sequence == self._sequence:
            return
        self._leave()
        self._sequence = sequence
        self._tracker = self._smoother = None
        if frame.video is None:
            if self.track:
                self._tracker = PoseTracker(self.skeleton)
            return
        fps = frame.video.fps
        if self.track is not False:
            self._tracker = PoseTracker(self.skeleton, fps=fps)
        if self.smooth is not None:
            self._smoother = OneEuroSmoother(fps=fps, **self.smooth)
        if frame.source in self._files:
            size = (frame.image.shape[0], frame.image.shape[1])
            self._video = VideoWriter(self._files[frame.source], fps=fps, image_size=size)

    def _leave(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None

    def _draw(self, frame: Frame, poses: Poses, identities: Sequence[int] | None) -> None:
        drawn = self._drawn(frame.image, poses, identities=identities)
        if self._video is None:
            write_image(self._files[frame.source], drawn)
        else:
            self._video.write(drawn)


def drawn_files(folder: Path, sources: Sequence[Source]) -> dict[Source, Path]:
    """The file that each source is drawn into: of the same name and sub-folder.

    Its suffix differs where OpenCV cannot write the source's own (then .png) and for videos (.mp4). If that is the
    name of another, the new suffix is appended: ``clip.avi.mp4`` beside ``clip.mp4``.

    Raises:
        InputError: If two would still be drawn into one file, or one over a source.
    """
    suffixes = {source: _suffix(source) for source in sources}
    short = {source: str(PurePosixPath(source.name).with_suffix(suffix)) for source, suffix in suffixes.items()}
    times = Counter(name.lower() for name in short.values())  # some file systems do not know upper case
    files: dict[Source, Path] = {}
    taken: dict[str, Source] = {}
    places = {os.path.realpath(source.place) for source in sources if isinstance(source.place, Path)}
    for source in sources:
        is_shared = times[short[source].lower()] > 1 and short[source] != source.name
        name = source.name + suffixes[source] if is_shared else short[source]
        if (other := taken.setdefault(name.lower(), source)) is not source:
            raise InputError(f"source: {other.name} and {source.name} would be drawn into one file; rename one")
        files[source] = folder / name
        if os.path.realpath(files[source]) in places:
            raise InputError(f"output={folder}: {files[source]} would be drawn over; choose another folder")
    return files


def _suffix(source: Source) -> str:
    if source.kind != "image":
        return ".mp4"
    suffix = PurePosixPath(source.name).suffix
    return suffix if suffix.lower() in _WRITABLE else ".png"
