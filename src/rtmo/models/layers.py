"""Building blocks shared by the backbone, the neck and the head."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ConvBlock(nn.Module):
    """Convolution without bias, batch normalisation, SiLU; padded to keep the size at stride 1.

    The defaults of the normalisation are the backbone's and head's (YOLOX); the neck and projector use torch's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
        eps: float = 1e-3,
        momentum: float = 0.03,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum)
        self.activation = activation

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        x = self.bn(self.conv(x))
        # autograd copies what is to be overwritten
        return functional.silu(x, inplace=not self.training) if self.activation else x


def neck_conv(
    in_channels: int, out_channels: int, kernel_size: int = 1, *, stride: int = 1, activation: bool = True
) -> ConvBlock:
    """A ``ConvBlock`` with the neck's normalisation: torch's defaults, as published."""
    return ConvBlock(
        in_channels, out_channels, kernel_size, stride=stride, activation=activation, eps=1e-5, momentum=0.1
    )
