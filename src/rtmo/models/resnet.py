"""ResNet-50, the backbone of the paper's RTMO-R50, with torchvision's parameter names so that its weights load.

Reference: Deep Residual Learning (arXiv:1512.03385), with the stride on the 3x3 convolution ("v1.5").
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

DEPTHS = (3, 4, 6, 3)
EXPANSION = 4


class ResNet50(nn.Module):
    """Feature maps of strides 8, 16 and 32.

    Attributes:
        out_channels: Channels of the three maps.
    """

    out_channels = (512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(64, 64, DEPTHS[0], stride=1)
        self.layer2 = _layer(256, 128, DEPTHS[1], stride=2)
        self.layer3 = _layer(512, 256, DEPTHS[2], stride=2)
        self.layer4 = _layer(1024, 512, DEPTHS[3], stride=2)
        # ImageNet's mean and deviation, RGB, in units of 0..255
        self.register_buffer("mean", torch.tensor((123.675, 116.28, 103.53)).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor((58.395, 57.12, 57.375)).view(3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    @property
    def stages(self) -> tuple[nn.Module, ...]:
        """One after the other, each takes the output of the one before; the stem comes first and is none of them."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def forward(
        self, images: Float[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B 512 H3 W3"], Float[Tensor, "B 1024 H4 W4"], Float[Tensor, "B 2048 H5 W5"]]:
        """The maps of strides 8, 16 and 32.

        Args:
            images: BGR 0..255, as everywhere in rtmo; the RGB and the normalisation that ImageNet weights expect are
                made here.
        """
        x = (images.flip(1) - self.mean) / self.std
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        p3 = self.layer2(x)
        p4 = self.layer3(p3)
        return p3, p4, self.layer4(p4)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = channels * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _layer(in_channels: int, channels: int, depth: int, stride: int) -> nn.Sequential:
    first = Bottleneck(in_channels, channels, stride)
    return nn.Sequential(first, *(Bottleneck(channels * EXPANSION, channels, 1) for _ in range(depth - 1)))
