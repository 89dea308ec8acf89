"""What is compared, for both sides: numerics.py imports this, and reference.py does in another environment.

Files in the folder through which the two speak:

    inputs.safetensors           images, and batches with people
    weights/rtmo_s.pth           the reference's seeded random weights
    converted/rtmo_s.pth         the same, converted to our names and back
    reference/rtmo_s.safetensors what the reference says of the images
    reference/<run>.json         losses of a training run; <run>.safetensors: by how much weights changed
    reference/environment.json   versions
"""

from dataclasses import dataclass

# by name of the weights: sides of the square images that they see, px
MODELS = {"rtmo_t": (416, 640), "rtmo_s": (640,), "rtmo_m": (640,), "rtmo_l": (640,), "rtmo_s_k14": (640,)}
PHASES = ("A", "B", "C")
NUM_IMAGES = 2
BATCH, BATCH_SIDE, STEPS = 4, 256, 10

CONSTANT_RATE = 1e-4
EPOCHS, STEPS_OF_EPOCH = 600, 251  # of the published schedule on COCO
# the published schedule's step at which a run begins, by phase
PUBLISHED_START = {
    "A": 5 * STEPS_OF_EPOCH - 5,  # across the end of the warm-up, where the rate is highest
    "B": 280 * STEPS_OF_EPOCH,  # after the jump of x2.5
    "C": 580 * STEPS_OF_EPOCH - 5,  # across the end of the second cosine
}


@dataclass(frozen=True)
class Run:
    """Some training steps from the same weights on the same batches.

    Attributes:
        rate: ``constant``, the neck's encoder at a twentieth of it, or that of the ``published`` schedule.
    """

    model: str
    phase: str
    steps: int
    precision: str = "float64"
    rate: str = "constant"

    @property
    def name(self) -> str:
        return f"{self.model}_{self.phase}_{self.steps}_{self.precision}_{self.rate}"

    @property
    def keeps_weights(self) -> bool:
        """Whether the weights are compared as well, not only the losses."""
        return self.precision == "float64" and self.rate == "constant"


ONE_STEP = [Run(model, phase, 1) for model in ("rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l") for phase in PHASES]
KINDS = (("float64", "constant"), ("float32", "constant"), ("float64", "published"))
TEN_STEPS = {kind: [Run("rtmo_s", phase, STEPS, *kind) for phase in PHASES] for kind in KINDS}
RUNS = [*ONE_STEP, *(run for runs in TEN_STEPS.values() for run in runs)]
