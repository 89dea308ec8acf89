"""The criterion: phases, batches without people, padding, precision, ranks."""

from dataclasses import replace

import pytest
import torch
from scene import IMAGE_SIZE, NUM_KEYPOINTS, TinyClassifier, make_outputs, make_targets
from torch import Tensor, nn

from rtmo.assigners.simota import SimOTA
from rtmo.losses.criterion import Criterion, prior_weights
from rtmo.losses.keypoints import KLDLoss
from rtmo.losses.rle import RLELoss
from rtmo.skeletons import COCO17
from rtmo.types import HeadOutputs, Targets

COUNTS = [3, 0, 1, 5]
LEAVES = ("cls_logits", "bbox_offsets", "visibility_logits", "pose_vectors", "proxy_offsets")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def scene(generator) -> tuple[HeadOutputs, Targets]:
    return make_outputs(len(COUNTS), generator), make_targets(COUNTS, generator)


def make_criterion(**arguments: object) -> Criterion:
    return Criterion(assigner=SimOTA(oks_sigmas=COCO17.oks_sigmas), oks_sigmas=COCO17.oks_sigmas, **arguments)


def gradients(outputs: HeadOutputs) -> dict[str, Tensor]:
    found = {name: getattr(outputs, name).grad for name in LEAVES}
    return {name: torch.zeros(()) if grad is None else grad for name, grad in found.items()}


@pytest.mark.parametrize("phase", ["A", "B", "C"])
def test_the_total_is_the_sum_of_the_losses(scene, phase) -> None:
    losses = make_criterion()(*scene, TinyClassifier(), phase, torch.zeros(4, *IMAGE_SIZE, dtype=torch.bool))
    named = {name: loss for name, loss in losses.items() if name.startswith("loss_")}
    expected = {"loss_bbox", "loss_vis", "loss_mle", "loss_oks", "loss_cls"}
    assert set(named) == expected | ({"loss_bbox_aux"} if phase == "C" else set())
    torch.testing.assert_close(losses["loss"], torch.stack(list(named.values())).sum())
    assert losses["loss"].isfinite()
    assert losses["num_positives"] >= 9
    for name in ("num_positives", "pose_oks", "proxy_oks", "pred_sigma"):
        assert not losses[name].requires_grad
    assert 0 < losses["pose_oks"] < 1
    assert 0 < losses["proxy_oks"] < 1


def test_the_spread_shown_is_the_mean_over_the_positives(scene) -> None:
    spreads = []

    class Recording(TinyClassifier):
        def forward(self, *inputs, **options):
            codes = super().forward(*inputs, **options)
            spreads.append(codes.pred_sigmas)
            return codes

    losses = make_criterion()(*scene, Recording(), "B")
    assert len(spreads[0]) == losses["num_positives"]
    torch.testing.assert_close(losses["pred_sigma"], spreads[0].mean().detach())


def test_weights_scale_their_losses(scene) -> None:
    plain = make_criterion()(*scene, TinyClassifier(), "B")
    names = {"bbox": "bbox", "vis": "vis", "coordinate": "mle", "oks": "oks", "cls": "cls"}
    for weight, loss in names.items():
        changed = {"B": {f"{weight}_weight": 2 * getattr(make_criterion().phases["B"], f"{weight}_weight")}}
        doubled = make_criterion(phases=changed)(*scene, TinyClassifier(), "B")
        for other in names.values():
            factor = 2 if other == loss else 1
            torch.testing.assert_close(doubled[f"loss_{other}"], factor * plain[f"loss_{other}"])


def test_in_phase_a_only_the_ground_truth_teaches_the_proxy(scene) -> None:
    """Phases B and C learn what the classifier says, where that is better, so another classifier changes the loss."""
    outputs, targets = scene
    one, other = TinyClassifier(), TinyClassifier()
    with torch.no_grad():
        other.weight.mul_(-1)
    for phase, same in (("A", True), ("B", False)):
        losses = [make_criterion()(outputs, targets, dcc, phase) for dcc in (one, other)]
        for name in ("loss_oks", "loss_cls"):
            assert torch.equal(losses[0][name], losses[1][name]) is same


def test_a_classifier_that_is_worse_than_the_proxy_teaches_it_nothing(scene) -> None:
    outputs, targets = scene

    def lost(*args: Tensor, with_sigmas: bool = False):
        codes = TinyClassifier()(*args, with_sigmas=with_sigmas)
        return codes._replace(keypoints=codes.keypoints + 1e4)

    losses = make_criterion()(outputs, targets, lost, "B")
    torch.testing.assert_close(losses["loss_oks"], torch.tensor(10.0))
    losses["loss_oks"].backward()
    assert (gradients(outputs)["proxy_offsets"] == 0).all()


def test_detached_boxes_get_no_gradient_from_the_classifier(generator) -> None:
    targets = make_targets(COUNTS, generator)
    state = generator.get_state()
    for detach in (False, True):
        generator.set_state(state)
        outputs = make_outputs(len(COUNTS), generator)
        losses = make_criterion(detach_bboxes=detach)(outputs, targets, TinyClassifier(), "A")
        losses["loss_mle"].backward()
        assert gradients(outputs)["bbox_offsets"].any().item() is not detach
        assert gradients(outputs)["pose_vectors"].any()


@pytest.mark.parametrize("phase", ["A", "B", "C"])
@pytest.mark.parametrize(("counts", "padding"), [([0, 0], 0), ([0, 0], 2)])
def test_a_batch_without_people_trains_the_scores(generator, phase, counts, padding) -> None:
    outputs, targets = make_outputs(2, generator), make_targets(counts, generator, padding=padding)
    dcc = TinyClassifier()
    losses = make_criterion()(outputs, targets, dcc, phase, torch.ones(2, *IMAGE_SIZE, dtype=torch.bool))
    assert losses["num_positives"] == 0
    assert losses["loss_cls"] > 0
    for name, loss in losses.items():
        assert loss == 0 or name in ("loss", "loss_cls")
    losses["loss"].backward()
    for name, leaf in ((name, getattr(outputs, name)) for name in LEAVES):
        assert leaf.grad is not None, f"distributed training would wait for {name}"
        assert leaf.grad.any().item() is (name == "cls_logits")
    assert dcc.weight.grad is not None
    assert not dcc.weight.grad.any()


def test_a_single_positive(generator) -> None:
    outputs, targets = make_outputs(1, generator), make_targets([1], generator)
    criterion = Criterion(assigner=SimOTA(oks_sigmas=COCO17.oks_sigmas, topk=1), oks_sigmas=COCO17.oks_sigmas)
    losses = criterion(outputs, targets, TinyClassifier(), "A")
    losses["loss"].backward()
    assert losses["num_positives"] == 1
    assert all(grad.isfinite().all() for grad in gradients(outputs).values())


@pytest.mark.parametrize("coordinate_loss", [None, KLDLoss(), RLELoss(), RLELoss(base="gaussian")])
@pytest.mark.parametrize("phase", ["A", "C"])
def test_extremes_are_finite(generator, phase, coordinate_loss) -> None:
    """People without labels, with an empty box, far outside of the image."""
    outputs, targets = make_outputs(1, generator), make_targets([4], generator)
    targets.visibility[0, 0] = 0
    targets.bboxes[0, 1] = torch.tensor([50.0, 60.0, 50.0, 60.0])
    targets.area[0, 1] = 0
    targets.keypoints[0, 2] += 1e5
    targets.bboxes[0, 3] += 1e5
    criterion = make_criterion(coordinate_loss=coordinate_loss)
    losses = criterion(outputs, targets, TinyClassifier(), phase, torch.zeros(1, *IMAGE_SIZE, dtype=torch.bool))
    losses["loss"].backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(grad.isfinite().all() for grad in gradients(outputs).values())


def test_padding_and_order_of_people_do_not_matter(generator) -> None:
    outputs, targets = make_outputs(len(COUNTS), generator), make_targets(COUNTS, generator, padding=3)
    order = torch.randperm(targets.valid.shape[1], generator=generator)
    trimmed = Targets(*(getattr(targets, name)[:, : max(COUNTS)] for name in Targets.__slots__))
    shuffled = Targets(*(getattr(targets, name)[:, order] for name in Targets.__slots__))
    losses = [make_criterion()(outputs, people, TinyClassifier(), "B") for people in (targets, trimmed, shuffled)]
    for name, loss in losses[0].items():
        torch.testing.assert_close(losses[1][name], loss, msg=name)
        torch.testing.assert_close(losses[2][name], loss, msg=name)


@pytest.mark.parametrize("coordinate_loss", [None, KLDLoss(), RLELoss()])
@pytest.mark.parametrize("phase", ["A", "B", "C"])
def test_joints_that_a_source_lacks_get_no_gradient_from_any_loss(scene, phase, coordinate_loss) -> None:
    """Such joints come unlabeled. Without the mask they would train as invisible."""
    outputs, targets = scene
    targets.visibility[..., 4] = 0
    targets.annotated[..., 4] = False
    classifier = TinyClassifier()
    losses = make_criterion(coordinate_loss=coordinate_loss)(outputs, targets, classifier, phase)
    of_joints = (outputs.visibility_logits, outputs.proxy_offsets, classifier.weight)

    def gradients_by_joint(loss: Tensor) -> list[Tensor]:
        visibility, proxy, weight = torch.autograd.grad(loss, of_joints, retain_graph=True, materialize_grads=True)
        return [visibility.movedim(2, 0), proxy.movedim(2, 0), weight.unflatten(1, (NUM_KEYPOINTS, -1)).movedim(1, 0)]

    for name in (name for name in losses if name.startswith("loss")):
        assert not any(grad[4].any() for grad in gradients_by_joint(losses[name])), name
    assert all(grad[3].any() for grad in gradients_by_joint(losses["loss"]))


def test_averaging_over_labeled_keypoints(generator) -> None:
    """With a constant number of labels L the losses grow by K / L; the OKS loss loses its constant part."""
    outputs, targets = make_outputs(2, generator), make_targets([2, 2], generator)
    targets.visibility.zero_()
    targets.visibility[..., :4] = 2
    published, labeled = (
        make_criterion(average_labeled=average)(outputs, targets, TinyClassifier(), "A") for average in (False, True)
    )
    torch.testing.assert_close(labeled["loss_mle"], published["loss_mle"] * 17 / 4)
    torch.testing.assert_close(1 - labeled["loss_oks"] / 30, (1 - published["loss_oks"] / 30) * 17 / 4)
    for name in ("loss_bbox", "loss_vis", "loss_cls"):
        torch.testing.assert_close(labeled[name], published[name])


def test_divergence_in_place_of_likelihood(scene) -> None:
    sigmas = []

    def dcc(*args: Tensor, with_sigmas: bool):
        codes = TinyClassifier()(*args, with_sigmas=with_sigmas)
        codes.pred_sigmas.retain_grad()
        sigmas.append(codes.pred_sigmas)
        return codes

    losses = make_criterion(coordinate_loss=KLDLoss())(*scene, dcc, "A")
    losses["loss"].backward()
    assert "loss_mle" not in losses
    assert losses["loss_kld"] > 0
    assert sigmas[0].grad is not None, "distributed training would wait for the spread"
    assert not sigmas[0].grad.any()
    assert "pred_sigma" not in losses  # it is nobody's


def test_priors_on_ignored_people_weigh_nothing(generator) -> None:
    outputs, targets = make_outputs(3, generator), make_targets([1, 0, 1], generator)
    mask = torch.zeros(3, *IMAGE_SIZE, dtype=torch.bool)
    mask[:2, :, 80:] = True
    mask[:2, :4, :4] = True  # where a mean of no keypoints would fall
    with torch.no_grad():  # every prior believes its keypoints to be where it is, except one that sees none
        outputs.proxy_offsets.zero_()
        outputs.visibility_logits.fill_(5.0)
        outputs.visibility_logits[0, -1].fill_(-5.0)
    weights = prior_weights(outputs, targets, mask)
    x = outputs.priors[:, 0]
    square = outputs.priors[:, 1] < IMAGE_SIZE[0] * 0.7  # the rows are stretched as published: both axes use the width
    assert (weights[0, square & (x > 85)] == 0).all()
    assert (weights[0, (x > 20) & (x < 75)] == 1).all()
    assert weights[0, -1] == 1
    assert (weights[1:] == 1).all()  # an image without people, as published, and one without a mask


def test_the_ignore_mask_spares_scores_in_phase_c_only(scene) -> None:
    mask = torch.ones(4, *IMAGE_SIZE, dtype=torch.bool)
    for phase in ("A", "B", "C"):
        masked, plain = (make_criterion()(*scene, TinyClassifier(), phase, m)["loss_cls"] for m in (mask, None))
        assert (masked < plain) if phase == "C" else torch.equal(masked, plain)


def test_half_precision_outputs_are_lifted_once(generator) -> None:
    outputs, targets = make_outputs(len(COUNTS), generator, torch.bfloat16), make_targets(COUNTS, generator)
    lifted = replace(outputs, **{name: getattr(outputs, name).detach().float() for name in LEAVES})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = make_criterion()(outputs, targets, TinyClassifier(), "A")
        full = make_criterion()(lifted, targets, TinyClassifier(), "A")
    for name, loss in half.items():
        assert loss.dtype == torch.float32
        assert torch.equal(loss, full[name])


def test_float64_all_the_way(generator) -> None:
    outputs, targets = make_outputs(len(COUNTS), generator, torch.float64), make_targets(COUNTS, generator)
    losses = make_criterion().double()(outputs, targets, TinyClassifier().double(), "C")
    assert all(loss.dtype == torch.float64 for loss in losses.values())


def test_outputs_without_proxy_are_refused(scene) -> None:
    outputs, targets = scene
    with pytest.raises(ValueError, match="with_proxy=True"):
        make_criterion()(replace(outputs, proxy_offsets=None), targets, TinyClassifier(), "A")


def test_constants_stay_out_of_the_checkpoint() -> None:
    assert make_criterion().state_dict() == {}


def test_a_loss_that_learns_is_part_of_the_criterion(scene) -> None:
    loss = RLELoss()
    criterion = make_criterion(coordinate_loss=loss)
    losses = criterion(*scene, TinyClassifier(), "A")
    losses["loss"].backward()
    assert criterion.learns_spread
    assert {"loss_rle", "pred_sigma"} <= set(losses)
    assert list(criterion.state_dict()) == [f"coordinate_loss.{name}" for name in loss.state_dict()]
    assert all(
        parameter.grad.abs().sum() > 0 for coupling in loss.flow.couplings for parameter in coupling[-1].parameters()
    )


def test_a_batch_without_people_has_a_gradient_for_a_loss_that_learns(generator) -> None:
    criterion = make_criterion(coordinate_loss=RLELoss())
    criterion(make_outputs(1, generator), make_targets([0], generator), TinyClassifier(), "A")["loss"].backward()
    assert all(parameter.grad is not None for parameter in criterion.parameters()), "distributed training would wait"


def test_a_loss_that_learns_needs_a_classifier() -> None:
    with pytest.raises(
        ValueError, match=r"criterion\.coordinate_loss: rle learns from heatmaps, .* leave its ablation out"
    ):
        make_criterion(phases=NO_CLASSIFIER, coordinate_loss=RLELoss()).check_decoding(None)


def _gradient(criterion: Criterion, outputs: HeadOutputs, targets: Targets, images: list[int]) -> Tensor:
    """Gradient of parameters that all images share, from some images of the batch."""
    dcc = TinyClassifier().double()
    shift = nn.Parameter(torch.zeros((), dtype=torch.float64))
    leaves = {name: getattr(outputs, name)[images].detach().double() + shift for name in LEAVES}
    people = Targets(*(getattr(targets, name)[images] for name in Targets.__slots__))
    criterion.double()(replace(outputs, **leaves), people, dcc, "B")["loss"].backward()
    assert shift.grad is not None
    return torch.cat((shift.grad[None], dcc.weight.grad.flatten()))


def test_ranks_that_share_their_normalizer_train_as_one(scene) -> None:
    """The images hold different numbers of people, so dividing by each rank's own number would differ."""
    ranks = ([0, 1], [2, 3])
    criterion = make_criterion()
    num_positives = criterion(*scene, TinyClassifier(), "B")["num_positives"]
    expected = _gradient(criterion, *scene, [0, 1, 2, 3])
    apart = sum(_gradient(criterion, *scene, images) for images in ranks) / 2
    assert not torch.allclose(apart, expected, rtol=1e-3)
    criterion.mean_over_ranks = (num_positives / 2).to
    together = sum(_gradient(criterion, *scene, images) for images in ranks) / 2
    torch.testing.assert_close(together, expected, rtol=1e-10, atol=1e-12)


NO_CLASSIFIER = {phase: {"proxy_target": "gt", "score_oks": "proxy"} for phase in "BC"}


@pytest.mark.parametrize("phase", ["A", "B", "C"])
def test_without_a_classifier_the_proxy_is_the_pose(scene, phase) -> None:
    losses = make_criterion(phases=NO_CLASSIFIER)(*scene, None, phase)
    assert "loss_mle" not in losses
    assert torch.equal(losses["pose_oks"], losses["proxy_oks"])
    named = [loss for name, loss in losses.items() if name.startswith("loss_")]
    torch.testing.assert_close(losses["loss"], torch.stack(named).sum())


def test_phases_that_need_a_classifier_are_refused_before_they_come() -> None:
    with pytest.raises(ValueError, match=r"criterion\.phases\.B\.proxy_target=dcc: .* say gt"):
        make_criterion().check_decoding(None)
    make_criterion(phases=NO_CLASSIFIER).check_decoding(None)
    make_criterion().check_decoding(TinyClassifier())


def test_the_score_may_learn_from_the_proxy_while_the_proxy_learns_from_the_classifier(scene) -> None:
    plain = make_criterion()(*scene, TinyClassifier(), "B")
    changed = make_criterion(phases={"B": {"score_oks": "proxy"}})(*scene, TinyClassifier(), "B")
    assert not torch.equal(plain["loss_cls"], changed["loss_cls"])
    assert torch.equal(plain["loss_oks"], changed["loss_oks"])


class Watched(TinyClassifier):
    """Keeps the boxes that it was given."""

    def forward(self, pose_vectors, bboxes, priors, with_sigmas=False):
        self.bboxes = bboxes
        return super().forward(pose_vectors, bboxes, priors, with_sigmas)


def boxes_given(scene, generator=None, **settings) -> Tensor:
    dcc = Watched()
    make_criterion(phases={"A": settings})(*scene, dcc, "A", generator=generator)
    return dcc.bboxes


def test_divergence_beside_the_likelihood(scene) -> None:
    both = make_criterion(phases={"B": {"heatmap_weight": 0.5}})(*scene, TinyClassifier(), "B")
    plain = make_criterion()(*scene, TinyClassifier(), "B")
    alone = make_criterion(coordinate_loss=KLDLoss(), phases={"B": {"coordinate_weight": 0.5}})
    torch.testing.assert_close(both["loss_heatmap"], alone(*scene, TinyClassifier(), "B")["loss_kld"])
    torch.testing.assert_close(both["loss"], plain["loss"] + both["loss_heatmap"])
    assert torch.equal(both["loss_mle"], plain["loss_mle"])
    assert "loss_heatmap" not in plain


def test_the_classifier_may_be_given_the_boxes_of_the_ground_truth(scene) -> None:
    people = scene[1].bboxes[scene[1].valid]
    forced, predicted = boxes_given(scene, dcc_bboxes="gt"), boxes_given(scene)
    assert all((box == people).all(dim=1).any() for box in forced)
    assert not any((box == people).all(dim=1).any() for box in predicted)
    assert predicted.requires_grad
    assert not forced.requires_grad


def test_jitter_of_boxes_is_that_of_the_generator(scene) -> None:
    plain = boxes_given(scene).detach()
    first, again, other = (
        boxes_given(scene, torch.Generator().manual_seed(seed), bbox_jitter=0.1).detach() for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    sizes = plain[:, 2:] - plain[:, :2]
    assert ((first - plain).abs() <= 0.1501 * sizes.repeat(1, 2)).all()
    assert (first != plain).all()


def test_one_phase_may_ask_for_more_positives(scene) -> None:
    criterion = make_criterion(phases={"A": {"min_positives": 4}})
    many, few = (criterion(*scene, TinyClassifier(), phase)["num_positives"] for phase in "AB")
    assert many > 2 * few


def test_phase_b_may_wait_for_the_oks_of_the_classifier(scene, generator) -> None:
    criterion = make_criterion(refine_oks=0.5)
    assert criterion.phase_in_force("B") == "A"
    shown = criterion(*scene, TinyClassifier(), "A")["pose_oks"]
    torch.testing.assert_close(criterion.curriculum.running_oks, 0.02 * shown)
    nobody = make_targets([0, 0, 0, 0], generator)
    criterion(scene[0], nobody, TinyClassifier(), "A")
    criterion.eval()(*scene, TinyClassifier(), "A")
    torch.testing.assert_close(criterion.curriculum.running_oks, 0.02 * shown)  # of training batches with people
    assert make_criterion(refine_oks=0.0).phase_in_force("A") == "B"
    assert make_criterion().phase_in_force("B") == "B"


def test_the_peak_shown_is_the_mean_of_the_highest_bins(scene) -> None:
    class Sharp(TinyClassifier):
        """The first bin of each row of x has everything, in each column of y half of it."""

        def forward(self, *inputs, **options):
            codes = super().forward(*inputs, **options)
            heatmap_x, heatmap_y = torch.zeros_like(codes.heatmap_x), torch.zeros_like(codes.heatmap_y)
            heatmap_x[..., 0], heatmap_y[..., :2] = 1.0, 0.5
            return codes._replace(heatmap_x=heatmap_x, heatmap_y=heatmap_y)

    assert make_criterion()(*scene, Sharp(), "B")["heatmap_peak"] == pytest.approx(0.75)
    assert "heatmap_peak" not in make_criterion(phases=NO_CLASSIFIER)(*scene, None, "B")
