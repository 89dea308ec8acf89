"""Losses, their gradients and the assignment agree with numbers that the reference implementation computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden import largest_difference, relative_difference, tiny_model
from torch import Tensor
from torch.nn import functional

from rtmo.assigners.simota import SimOTA
from rtmo.losses.boxes import iou_loss
from rtmo.losses.classification import varifocal_loss, visibility_loss
from rtmo.losses.criterion import Criterion
from rtmo.losses.keypoints import MLELoss, kl_divergence, laplace_code, negative_log_likelihood, proxy_oks_loss
from rtmo.models.rtmo import RTMO
from rtmo.ops.keypoints import oks, pairwise_oks
from rtmo.skeletons import COCO17
from rtmo.types import CoordinateCodes, HeadOutputs, Targets
from rtmo.weights.reference import to_our_key

FLOAT32 = 1e-6  # of each tensor's maximum
LOSS_TOLERANCE = 2e-5  # relative, float32
GRADIENT_TOLERANCE = 1e-8  # of each tensor's maximum, float64

# the weights of the published m and l where they differ from s
PHASES_ML = {"A": {"coordinate_weight": 0.01}, "B": {"overlaps_power": 1.0, "cls_weight": 2.0}}


class Units:
    """Inputs and results of single functions of the reference, as tensors."""

    def __init__(self, path: Path) -> None:
        self.arrays = np.load(path)

    def __call__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def leaf(self, name: str) -> Tensor:
        return self(name).requires_grad_()


@pytest.fixture(scope="module")
def units() -> Units:
    return Units(Path(__file__).parents[1] / "golden" / "loss_units.npz")


def close(ours: Tensor | None, reference: Tensor) -> bool:
    assert ours is not None
    return largest_difference(ours, reference.numpy()) < FLOAT32


def test_oks(units) -> None:
    pred, gt, labeled = units("oks_loss/output"), units("oks_loss/target"), units("oks_loss/weight") > 0
    area, sigmas = units("oks_loss/areas"), torch.tensor(COCO17.oks_sigmas)
    assert close(oks(pred, gt, labeled, area, sigmas), units("pose_oks/aligned"))
    assert close(pairwise_oks(pred, gt, labeled, area, sigmas), units("pose_oks/pairwise"))


@pytest.mark.parametrize("normalized", [0, 1])
def test_oks_loss(units, normalized: int) -> None:
    pred, labeled = units.leaf("oks_loss/output"), units("oks_loss/weight")
    count = labeled.sum(-1, keepdim=True).clamp(min=1) if normalized else 17
    sigmas = torch.tensor(COCO17.oks_sigmas)
    loss = 30 * proxy_oks_loss(pred, units("oks_loss/target"), units("oks_loss/areas"), sigmas, labeled / count)
    loss.sum().backward()
    assert close(loss, units(f"oks_loss/linear_norm{normalized}"))
    assert close(pred.grad, units(f"oks_loss/linear_norm{normalized}_grad"))


def test_iou_loss(units) -> None:
    pred = units.leaf("iou_loss/pred")
    loss = 5 * iou_loss(pred, units("iou_loss/target"))
    loss.sum().backward()
    assert close(loss, units("iou_loss/square"))
    assert close(pred.grad, units("iou_loss/square_grad"))


def test_varifocal_loss(units) -> None:
    logits = units.leaf("varifocal/logits")
    loss = varifocal_loss(logits, units("varifocal/target")) * units("varifocal/weight")
    loss.sum().backward()
    assert close(loss, units("varifocal/loss"))
    assert close(logits.grad, units("varifocal/grad"))


def test_visibility_loss(units) -> None:
    logits, labeled = units.leaf("bce_vis/logits"), units("bce_vis/target") > 0
    loss = visibility_loss(logits, labeled, torch.ones_like(labeled)).mean()
    loss.backward()
    assert relative_difference(loss.detach(), units("bce_vis/loss")) < FLOAT32
    assert close(logits.grad, units("bce_vis/grad"))


def test_likelihood(units) -> None:
    heatmap_x = units.leaf("mle/px")
    loss = negative_log_likelihood(heatmap_x, units("mle/py"), units("mle/tx"), units("mle/ty"))
    loss = (loss * units("mle/weight")).mean(-1)
    loss.sum().backward()
    assert close(loss, units("mle/loss"))
    assert close(heatmap_x.grad, units("mle/grad_px"))


def test_likelihood_with_learned_spread(units) -> None:
    """One of the keypoints has a spread below the floor."""
    centers, sizes = units("mle_sigma/bbox_cs").split(2, dim=-1)
    sigmas = units.leaf("mle_sigma/sigmas")
    codes = CoordinateCodes(
        heatmap_x=units("mle/px"),
        heatmap_y=units("mle/py"),
        bins_x=centers[:, :1] + sizes[:, :1] * torch.linspace(-0.5, 0.5, 192),
        bins_y=centers[:, 1:] + sizes[:, 1:] * torch.linspace(-0.5, 0.5, 256),
        keypoints=units("mle_sigma/kpt_targets"),
        pred_sigmas=sigmas,
    )
    area = units("mle_sigma/areas")
    code_x = laplace_code(codes.bins_x, codes.keypoints[..., 0], area.sqrt(), sigmas.clamp(min=1e-3))
    assert close(code_x, units("mle_sigma/hx"))
    loss = (MLELoss()(codes, codes.keypoints, area) * units("mle/weight")).mean(-1)
    loss.sum().backward()
    assert close(loss, units("mle_sigma/loss"))
    assert close(sigmas.grad, units("mle_sigma/grad_sigma"))


@pytest.mark.parametrize(("beta", "smooth_labels"), [(1, False), (10, True)])
def test_divergence(units, beta: int, smooth_labels: bool) -> None:
    """The reference tempers heatmaps and labels and averages over bins; ours does neither.

    It computes with logits, so tempered heatmaps of ours need float64 not to underflow.
    """
    logits_x, logits_y = (units(f"kl_simcc/{name}").double().requires_grad_() for name in ("lx", "ly"))
    loss = torch.zeros((), dtype=torch.float64)
    for logits, label in ((logits_x, units("kl_simcc/gx")), (logits_y, units("kl_simcc/gy"))):
        target = functional.softmax(label * beta, dim=-1) if smooth_labels else label
        divergence = kl_divergence(functional.softmax(logits * beta, dim=-1), target.double())
        loss = loss + (divergence * units("kl_simcc/weight")).sum() / logits.shape[-1] / 17
    loss.backward()
    variant = f"b{beta}_ls{int(smooth_labels)}"
    assert relative_difference(loss.detach(), units(f"kl_simcc/loss_{variant}")) < FLOAT32
    assert close(logits_x.grad, units(f"kl_simcc/gradx_{variant}"))


@pytest.mark.parametrize("indicator", ["oks", "iou"])
@pytest.mark.parametrize("keypoint_center", [0, 1])
def test_assignment(units, keypoint_center: int, indicator) -> None:
    priors = units("simota/priors")
    visibility = units("simota/gt_vis").byte()
    targets = Targets(
        bboxes=units("simota/gt_bboxes")[None],
        keypoints=units("simota/gt_kpts")[None],
        visibility=visibility[None],
        annotated=torch.ones_like(visibility, dtype=torch.bool)[None],
        area=units("simota/gt_areas")[None],
        valid=torch.ones(1, len(visibility), dtype=torch.bool),
    )
    simota = SimOTA(
        oks_sigmas=COCO17.oks_sigmas,
        use_keypoints_for_center=bool(keypoint_center),
        dynamic_k_indicator=indicator,
    )
    gt_index, matched_oks = simota(
        units("simota/pred_scores").square().logit()[None],  # the reference takes the root before
        units("simota/pred_bboxes")[None],
        units("simota/pred_kpts")[None],
        priors=priors[:, :2],
        strides=priors[:, 2],
        targets=targets,
    )
    reference = f"simota/kc{keypoint_center}_{indicator}"
    assert torch.equal(gt_index[0], units(f"{reference}/gt_inds") - 1)
    if indicator == "oks":  # else the reference hands out the IoU
        positive = gt_index[0] >= 0
        assert close(matched_oks[0, positive], units(f"{reference}/max_overlaps")[positive])


@pytest.fixture(scope="module")
def golden_dir(shared_dir: Path) -> Path:
    return shared_dir / "golden"


@pytest.fixture(scope="module")
def arrays(golden_dir: Path) -> np.lib.npyio.NpzFile:
    return np.load(golden_dir / "tiny_train.npz")


@pytest.fixture(scope="module")
def images(golden_dir: Path) -> Tensor:
    evaluation = np.load(golden_dir / "tiny_eval.npz")
    return torch.from_numpy(np.concatenate((evaluation["inputs_a"], evaluation["inputs_b"]))).float()


@pytest.fixture(scope="module")
def targets(arrays) -> Targets:
    counts = [len(arrays[f"gt/{image}/areas"]) for image in range(4)]

    def padded(name: str) -> Tensor:
        people = [torch.from_numpy(arrays[f"gt/{image}/{name}"]) for image in range(4)]
        return torch.nn.utils.rnn.pad_sequence(people, batch_first=True)

    visibility = padded("keypoints_visible").byte()
    return Targets(
        bboxes=padded("bboxes"),
        keypoints=padded("keypoints"),
        visibility=visibility,
        annotated=torch.ones_like(visibility, dtype=torch.bool),
        area=padded("areas"),
        valid=torch.arange(max(counts)) < torch.tensor(counts)[:, None],
    )


@pytest.fixture(scope="module")
def ignore_mask(arrays) -> Tensor:
    shape = arrays["heatmap_mask_shape"]
    return torch.from_numpy(np.unpackbits(arrays["heatmap_mask"])[: shape.prod()].reshape(shape)[:, 0] > 0)


@pytest.fixture(scope="module")
def model(golden_dir) -> RTMO:
    return tiny_model(golden_dir).train()


@pytest.fixture(scope="module")
def outputs(model, images) -> HeadOutputs:
    """On two threads and in channels_last, as the reference ran: float32 batch statistics depend on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    with torch.no_grad():
        outputs = model(images.contiguous(memory_format=torch.channels_last), with_proxy=True)
    torch.set_num_threads(threads)
    return outputs


def make_criterion(variant: str) -> Criterion:
    """Of a variant of the golden file: phase A, B or C, of the published s or (``ML``) of m and l."""
    large = variant.startswith("ML")
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas, use_keypoints_for_center=not large)
    return Criterion(assigner=simota, oks_sigmas=COCO17.oks_sigmas, phases=PHASES_ML if large else None)


def phase_of(variant: str) -> str:
    return variant.removeprefix("ML").removesuffix("64")


@pytest.mark.parametrize("variant", ["A", "MLA"])
def test_assignment_of_a_batch(arrays, targets, variant: str) -> None:
    """Image 1 has no people, for which the reference stores nothing."""
    stored = [0, 2, 3]

    def stack(name: str) -> Tensor:
        return torch.stack([torch.from_numpy(arrays[f"{variant}/assign/{image}/{name}"]) for image in stored])

    priors = stack("pred/priors")[0]
    gt_index, matched_oks = make_criterion(variant).assigner(
        stack("pred/scores").square().logit(),  # the reference takes the root before
        stack("pred/bboxes"),
        stack("pred/keypoints"),
        priors=priors[:, :2],
        strides=priors[:, 2],
        targets=Targets(*(getattr(targets, name)[stored] for name in Targets.__slots__)),
    )
    assert torch.equal(gt_index, stack("gt_inds") - 1)
    positive = gt_index >= 0
    assert close(matched_oks[positive], stack("max_overlaps")[positive])


@torch.no_grad()
@pytest.mark.parametrize("variant", ["A", "B", "C", "MLA", "MLB"])
def test_losses(model, outputs, arrays, targets, ignore_mask, variant: str) -> None:
    losses = make_criterion(variant)(outputs, targets, model.dcc, phase_of(variant), ignore_mask)
    compare_losses(losses, arrays, variant, LOSS_TOLERANCE)


def compare_losses(losses: dict[str, Tensor], arrays: np.lib.npyio.NpzFile, variant: str, tolerance: float) -> None:
    names = {key.rsplit("/")[-1] for key in arrays.files if key.startswith(f"{variant}/loss_raw/loss_")}
    assert names == {name for name in losses if name.startswith("loss_")}
    for name in names:
        # the reference keeps some losses as one number a positive prior and averages them later
        assert relative_difference(losses[name].detach(), arrays[f"{variant}/loss_raw/{name}"].mean()) < tolerance, name
    assert relative_difference(losses["loss"].detach(), arrays[f"{variant}/loss/total"]) < tolerance
    assert losses["num_positives"] == arrays[f"{variant}/loss_raw/num_samples"]


@pytest.mark.parametrize("variant", ["A64", "B64", "C64"])
def test_gradients(golden_dir, arrays, images, targets, ignore_mask, variant: str) -> None:
    model = tiny_model(golden_dir).train().double()
    outputs = model(images.double(), with_proxy=True)
    losses = make_criterion(variant).double()(outputs, targets, model.dcc, phase_of(variant), ignore_mask)
    # the reference rounds the OKS of the assignment to float32, which the score learns in phase A
    compare_losses(losses, arrays, variant, 2e-8 if variant == "A64" else 1e-12)

    losses["loss"].backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norms = torch.stack([gradients[to_our_key(name)].norm() for name in arrays["param_names"]])
    assert largest_difference(norms, arrays[f"{variant}/grad_norms"]) < GRADIENT_TOLERANCE
    stored = [key for key in arrays.files if key.startswith(f"{variant}/grad/")]
    assert len(stored) == 7
    for key in stored:
        ours = gradients[to_our_key(key.removeprefix(f"{variant}/grad/"))]
        assert largest_difference(ours, arrays[key]) < GRADIENT_TOLERANCE, key
