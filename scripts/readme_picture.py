"""Draws docs/images/demo.jpg, the README's picture, from a checkpoint of ``experiment=demo``.

    python scripts/readme_picture.py outputs/demo/.../checkpoints/best.ckpt --images 3 17 42 80 101 164

Shows the validation images of these indices, ground truth beside prediction.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from rtmo.data.collate import collate
from rtmo.data.pipeline import ValDataset
from rtmo.drawing import contact_sheet, prediction_panel, write_image
from rtmo.hub import load_model
from rtmo.ops.affine import unwarp_poses
from rtmo.targets import build
from rtmo.weights.checkpoint import read_checkpoint

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.jpg"


def main() -> None:
    """Reads the arguments and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=list(range(6)), help="indices of validation images")
    parser.add_argument("--height", type=int, default=300, help="of each picture, px")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    sheet = contact_sheet(panels(arguments.checkpoint, arguments.images, arguments.height), columns=2)
    write_image(arguments.output, sheet)
    print(f"{arguments.output}: {sheet.shape[1]} x {sheet.shape[0]} px, {arguments.output.stat().st_size // 1000} KB")


@torch.no_grad()
def panels(checkpoint: Path, indices: list[int], height: int) -> list[np.ndarray]:
    """Ground truth and prediction of some validation images."""
    content = read_checkpoint(checkpoint)
    config, skeleton = content.config, content.skeleton
    source = build(config["data"]["val"], "data.val", skeleton)
    model = load_model(checkpoint)
    batch = collate([ValDataset(source=source, image_size=config["image_size"])[index] for index in indices])
    found = model.decode(model(batch.images.float()), config["module"]["score_thr"], config["module"]["nms_thr"])
    return [
        prediction_panel(source.load(index), unwarp_poses(poses, warp), skeleton=skeleton, height=height)
        for index, poses, warp in zip(indices, found, batch.warps, strict=True)
    ]


if __name__ == "__main__":
    main()
