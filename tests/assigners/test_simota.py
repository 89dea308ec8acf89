"""SimOTA: a whole batch at once gives what each image alone would give, whatever pads it."""

import copy

import pytest
import torch
from scene import make_outputs, make_targets
from torch import Tensor

from rtmo.assigners.simota import SimOTA
from rtmo.ops.boxes import decode_bboxes
from rtmo.ops.keypoints import decode_proxy, oks
from rtmo.skeletons import COCO17
from rtmo.types import HeadOutputs, Targets

COUNTS = [3, 0, 1, 5]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def predictions(outputs: HeadOutputs) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, boxes and proxy keypoints as the assigner wants them."""
    assert outputs.proxy_offsets is not None
    return (
        outputs.cls_logits,
        decode_bboxes(outputs.bbox_offsets, outputs.priors, outputs.strides),
        decode_proxy(outputs.proxy_offsets, outputs.priors, outputs.strides),
    )


def assign(simota: SimOTA, outputs: HeadOutputs, targets: Targets, min_positives: int = 1):
    return simota(
        *predictions(outputs),
        priors=outputs.priors,
        strides=outputs.strides,
        targets=targets,
        min_positives=min_positives,
    )


def subset(targets: Targets, image: int, people: list[int] | Tensor) -> Targets:
    """Some people of one image, as a batch of one."""
    return Targets(*(getattr(targets, name)[image : image + 1, people] for name in Targets.__slots__))


@pytest.mark.parametrize("use_keypoints_for_center", [True, False])
@pytest.mark.parametrize("indicator", ["oks", "iou"])
def test_a_batch_is_matched_as_its_images_alone(generator, use_keypoints_for_center: bool, indicator) -> None:
    simota = SimOTA(
        oks_sigmas=COCO17.oks_sigmas,
        use_keypoints_for_center=use_keypoints_for_center,
        dynamic_k_indicator=indicator,
    )
    targets, outputs = make_targets(COUNTS, generator, padding=2), make_outputs(len(COUNTS), generator)
    batch = assign(simota, outputs, targets)
    for image, count in enumerate(COUNTS):
        alone = simota(
            *(prediction[image : image + 1] for prediction in predictions(outputs)),
            priors=outputs.priors,
            strides=outputs.strides,
            targets=subset(targets, image, list(range(count))),
        )
        assert torch.equal(batch.gt_index[image], alone.gt_index[0])
        assert torch.equal(batch.oks[image], alone.oks[0])
        assert len(batch.gt_index[image].unique()) == count + 1  # everybody has a prior, and some have none


def test_the_order_of_people_does_not_matter(generator) -> None:
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas)
    targets, outputs = make_targets([5], generator), make_outputs(1, generator)
    order = torch.tensor([3, 1, 4, 0, 2])
    straight, shuffled = assign(simota, outputs, targets), assign(simota, outputs, subset(targets, 0, order))
    positive = straight.gt_index >= 0
    assert torch.equal(positive, shuffled.gt_index >= 0)
    assert torch.equal(order[shuffled.gt_index[positive]], straight.gt_index[positive])


def test_oks_is_that_of_the_matched_person(generator) -> None:
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas)
    targets, outputs = make_targets(COUNTS, generator), make_outputs(len(COUNTS), generator)
    assignment = assign(simota, outputs, targets)
    image, prior = (assignment.gt_index >= 0).nonzero(as_tuple=True)
    person = assignment.gt_index[image, prior]
    expected = oks(
        predictions(outputs)[2][image, prior],
        targets.keypoints[image, person],
        targets.labeled[image, person],
        targets.area[image, person],
        simota.oks_sigmas,
    )
    torch.testing.assert_close(assignment.oks[image, prior], expected)
    assert (assignment.oks[assignment.gt_index < 0] == 0).all()


def test_good_predictions_earn_more_priors(generator) -> None:
    targets, outputs = make_targets([1], generator), make_outputs(1, generator)
    targets.visibility.fill_(2)
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas, topk=6)
    num_poor = (assign(simota, outputs, targets).gt_index >= 0).sum()
    cls_logits, bboxes, _ = predictions(outputs)
    perfect = targets.keypoints.expand(1, bboxes.shape[1], -1, -1)
    best = simota(cls_logits, bboxes, perfect, priors=outputs.priors, strides=outputs.strides, targets=targets)
    assert 1 <= num_poor < 6
    assert (best.gt_index >= 0).sum() == 6


def test_contested_priors_go_to_whom_they_suit_best(generator) -> None:
    """Two people in one place: whoever comes first in the list has no claim to the other's priors."""
    targets, outputs = make_targets([2], generator), make_outputs(1, generator)
    targets.visibility.fill_(2)
    targets.bboxes[0] = torch.tensor([40.0, 40.0, 100.0, 100.0])
    targets.area[0] = 3600
    targets.keypoints[0, 0] = targets.keypoints[0, 1] + 4
    cls_logits, bboxes, _ = predictions(outputs)
    perfect_for_second = targets.keypoints[:, 1:].expand(1, bboxes.shape[1], -1, -1)
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas, use_keypoints_for_center=False)
    arguments = {"priors": outputs.priors, "strides": outputs.strides}
    first_alone = simota(cls_logits, bboxes, perfect_for_second, **arguments, targets=subset(targets, 0, [0]))
    both = simota(cls_logits, bboxes, perfect_for_second, **arguments, targets=targets)
    contested = first_alone.gt_index >= 0
    assert contested.any()
    assert (both.gt_index[contested] == 1).all()


@pytest.mark.parametrize("padding", [0, 3])
def test_nobody_there(generator, padding: int) -> None:
    targets, outputs = make_targets([0, 0], generator, padding=padding), make_outputs(2, generator)
    assignment = assign(SimOTA(oks_sigmas=COCO17.oks_sigmas), outputs, targets)
    assert (assignment.gt_index == -1).all()
    assert (assignment.oks == 0).all()


def test_somebody_far_outside_takes_no_prior(generator) -> None:
    targets, outputs = make_targets([1, 2], generator, padding=1), make_outputs(2, generator)
    targets.bboxes[0, 0] += 1e4  # while what pads the image stays inside
    targets.keypoints[0, 0] += 1e4
    assignment = assign(SimOTA(oks_sigmas=COCO17.oks_sigmas), outputs, targets)
    assert (assignment.gt_index[0] == -1).all()
    assert (assignment.gt_index[1] >= 0).any()


def test_somebody_without_labels_or_size_gets_a_prior(generator) -> None:
    targets, outputs = make_targets([2], generator), make_outputs(1, generator)
    targets.visibility[0, 0] = 0
    targets.bboxes[0, 1] = torch.tensor([50.0, 60.0, 50.0, 60.0])
    targets.area[0, 1] = 0
    assignment = assign(SimOTA(oks_sigmas=COCO17.oks_sigmas), outputs, targets)
    assert set(assignment.gt_index.unique().tolist()) == {-1, 0, 1}
    assert assignment.oks.isfinite().all()


def test_a_map_smaller_than_topk(generator) -> None:
    targets, outputs = make_targets([2], generator), make_outputs(1, generator)
    few = slice(0, 4)
    targets.bboxes[0] = torch.tensor([0.0, 0.0, 100.0, 100.0])
    assignment = SimOTA(oks_sigmas=COCO17.oks_sigmas)(
        *(prediction[:, few] for prediction in predictions(outputs)),
        priors=outputs.priors[few],
        strides=outputs.strides[few],
        targets=targets,
    )
    assert assignment.gt_index.shape == (1, 4)
    assert (assignment.gt_index >= 0).any()


def test_nothing_waits_for_the_device(generator) -> None:
    """Tensors on the meta device have no values, so any look at one from Python would fail."""
    targets, outputs = make_targets(COUNTS, generator), make_outputs(len(COUNTS), generator)
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas).to("meta")
    assignment = simota(
        *(prediction.to("meta") for prediction in predictions(outputs)),
        priors=outputs.priors.to("meta"),
        strides=outputs.strides.to("meta"),
        targets=copy.copy(targets).to("meta"),
    )
    assert assignment.gt_index.shape == outputs.cls_logits.shape[:2]


def test_topk_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="topk must be at least 1, got 0"):
        SimOTA(oks_sigmas=COCO17.oks_sigmas, topk=0)


def test_a_person_gets_so_many_priors_at_least(generator) -> None:
    """Predictions are random, so by their quality each person would get one."""
    simota = SimOTA(oks_sigmas=COCO17.oks_sigmas, topk=5)
    targets, outputs = make_targets([1, 1, 1], generator), make_outputs(3, generator)
    for least, expected in ((1, 1), (4, 4), (9, 5)):
        counts = (assign(simota, outputs, targets, least).gt_index >= 0).sum(dim=1)
        assert counts.tolist() == [expected] * 3
