import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d as torchvision_deform_conv2d

from tests.golden import load_npz
from yolactpp.ops.deform_conv import deform_conv2d

OURS = ["gather", "grid_sample"]
GOLDEN_CASES = sorted({key.split("__")[0] for key in load_npz("dcn.npz")})
# name: input shape, out channels, kernel, stride, padding, dilation, weight groups, offset groups
SHAPES = {
    "3x3": ((2, 6, 9, 7), 5, (3, 3), 1, 1, 1, 1, 1),
    "stride 2": ((1, 4, 10, 11), 3, (3, 3), 2, 1, 1, 1, 1),
    "uneven": ((2, 4, 8, 9), 2, (3, 1), (1, 2), (2, 0), (2, 1), 1, 1),
    "groups": ((2, 8, 6, 6), 4, (3, 3), 1, 1, 1, 2, 4),
    "one pixel": ((1, 2, 1, 1), 3, (3, 3), 1, 1, 1, 1, 1),
    "no images": ((0, 4, 5, 5), 3, (3, 3), 1, 1, 1, 1, 1),
}


def arguments(
    name: str, generator: torch.Generator, *, dtype: torch.dtype = torch.float64, reach: float = 4
) -> tuple[list[Tensor], dict]:
    """Tensors input, offset, weight, bias, mask that need gradients, and the geometry."""
    shape, out, kernel, stride, padding, dilation, groups, offset_groups = SHAPES[name]
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    plain = F.conv2d(torch.zeros(1, *shape[1:]), torch.zeros(1, shape[1], *kernel), **geometry)
    taps = offset_groups * kernel[0] * kernel[1]
    size = (shape[0], taps, *plain.shape[2:])

    def normal(*of: int) -> Tensor:
        return torch.randn(of, generator=generator, dtype=torch.float64)

    tensors = [
        normal(*shape),
        reach * normal(size[0], 2 * taps, *size[2:]),
        normal(out, shape[1] // groups, *kernel),
        normal(out),
        normal(*size).sigmoid(),
    ]
    return [each.to(dtype).requires_grad_() for each in tensors], geometry


def gradients(output: Tensor, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    return torch.autograd.grad((output * weights).sum(), tensors)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("backend", [*OURS, "torchvision"])
@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_golden_dcn(case: str, backend: str) -> None:
    golden = {
        key.split("__")[1]: torch.from_numpy(np.asarray(value))
        for key, value in load_npz("dcn.npz").items()
        if key.startswith(f"{case}__")
    }
    stride = int(golden["stride"])
    offset_mask = F.conv2d(
        golden["x"], golden["offset_mask_weight"], golden["offset_mask_bias"], stride, padding=1
    )
    out = deform_conv2d(
        golden["x"],
        offset_mask[:, :18],
        golden["weight"],
        golden["bias"],
        stride,
        1,
        mask=offset_mask[:, 18:].sigmoid(),
        backend=backend,
    )
    assert (out - golden["out"]).abs().max() <= 1e-5 * golden["out"].abs().max()


@pytest.mark.parametrize("backend", OURS)
@pytest.mark.parametrize("name", SHAPES)
def test_value_and_gradients_equal_torchvisions(
    name: str, backend: str, generator: torch.Generator
) -> None:
    tensors, geometry = arguments(name, generator)
    input, offset, weight, bias, mask = tensors
    ours = deform_conv2d(input, offset, weight, bias, mask=mask, backend=backend, **geometry)
    theirs = torchvision_deform_conv2d(input, offset, weight, bias, mask=mask, **geometry)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    for got, expected in zip(gradients(ours, tensors), gradients(theirs, tensors), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("backend", OURS)
def test_without_mask_and_bias(backend: str, generator: torch.Generator) -> None:
    (input, offset, weight, _, _), geometry = arguments("3x3", generator)
    ours = deform_conv2d(input, offset, weight, backend=backend, **geometry)
    theirs = torchvision_deform_conv2d(input, offset, weight, **geometry)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("backend", [*OURS, "torchvision"])
def test_taps_beyond_the_edge_are_zero(backend: str) -> None:
    """A 1x1 kernel of weight 1 reads one position: worked values around a 2 x 2 map's corner."""
    input = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)
    weight = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for (dy, dx), expected in {
        (0.0, 0.0): 1.0,
        (0.5, 0.5): 2.5,
        (-0.5, 0.0): 0.5,
        (-0.5, -0.75): 0.125,
        (-1.0, 0.0): 0.0,
        (2.0, 0.0): 0.0,
        (1.5, 1.5): 1.0,
        (-7.0, 9.0): 0.0,
    }.items():
        offset = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
        offset[0, :, 0, 0] = torch.tensor([dy, dx])
        out = deform_conv2d(input, offset, weight, backend=backend)
        assert out[0, 0, 0, 0].item() == pytest.approx(expected), (dy, dx)


@pytest.mark.parametrize("backend", OURS)
def test_zero_offsets_are_a_plain_convolution(backend: str, generator: torch.Generator) -> None:
    (input, offset, weight, bias, mask), geometry = arguments("stride 2", generator)
    out = deform_conv2d(
        input,
        torch.zeros_like(offset),
        weight,
        bias,
        mask=torch.full_like(mask, 0.5),
        backend=backend,
        **geometry,
    )
    plain = F.conv2d(input, 0.5 * weight, bias, stride=2, padding=1)
    torch.testing.assert_close(out, plain)


@pytest.mark.parametrize("backend", OURS)
def test_gradcheck(backend: str, generator: torch.Generator) -> None:
    tensors, geometry = arguments("groups", generator, reach=0.7)

    def run(*of: Tensor) -> Tensor:
        return deform_conv2d(*of[:4], mask=of[4], backend=backend, **geometry)

    assert torch.autograd.gradcheck(run, tensors, fast_mode=True)


@pytest.mark.parametrize("backend", [*OURS, "torchvision"])
def test_channels_last_in_channels_last_out(backend: str, generator: torch.Generator) -> None:
    (input, offset, weight, bias, mask), geometry = arguments("3x3", generator)
    last = input.detach().to(memory_format=torch.channels_last).requires_grad_()
    usual = deform_conv2d(input, offset, weight, bias, mask=mask, backend=backend, **geometry)
    out = deform_conv2d(last, offset, weight, bias, mask=mask, backend=backend, **geometry)
    assert usual.is_contiguous()
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, usual)


@pytest.mark.parametrize("backend", [*OURS, "torchvision"])
def test_bf16_autocast_on_cpu(backend: str, generator: torch.Generator) -> None:
    tensors, geometry = arguments("3x3", generator, dtype=torch.float32)
    input, offset, weight, bias, mask = tensors
    exact = torchvision_deform_conv2d(input, offset, weight, bias, mask=mask, **geometry)
    with torch.autocast("cpu", torch.bfloat16):
        out = deform_conv2d(
            input.bfloat16(), offset, weight, bias, mask=mask, backend=backend, **geometry
        )
    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).abs().max() <= 0.03 * exact.abs().max()
    for tensor, gradient in zip(tensors, gradients(out.float(), tensors), strict=True):
        assert gradient.dtype == tensor.dtype
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("channels", "message"), [(17, "17 channels"), (4, "4 channels"), (54, "54 channels")]
)
def test_bad_offsets_are_refused(channels: int, message: str) -> None:
    input, weight = torch.zeros(1, 4, 5, 5), torch.zeros(2, 4, 3, 3)
    with pytest.raises(ValueError, match=message):
        deform_conv2d(input, torch.zeros(1, channels, 3, 3), weight)


def test_bad_sizes_and_backends_are_refused() -> None:
    input, weight = torch.zeros(1, 4, 5, 5), torch.zeros(2, 4, 3, 3)
    with pytest.raises(ValueError, match=r"give \(1, 18, 3, 3\)"):
        deform_conv2d(input, torch.zeros(1, 18, 5, 5), weight)
    with pytest.raises(ValueError, match=r"give \(1, 9, 3, 3\)"):
        deform_conv2d(input, torch.zeros(1, 18, 3, 3), weight, mask=torch.zeros(1, 9, 2, 3))
    with pytest.raises(ValueError, match="weight takes 3 channels"):
        deform_conv2d(input, torch.zeros(1, 18, 3, 3), torch.zeros(2, 3, 3, 3))
    with pytest.raises(ValueError, match="gather, grid_sample, torchvision"):
        deform_conv2d(input, torch.zeros(1, 18, 3, 3), weight, backend="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", OURS)
def test_same_inputs_give_the_same_bits(backend: str, generator: torch.Generator) -> None:
    """Exact resume rests on it: sums of many taps on one pixel must not depend on the moment."""
    tensors, geometry = arguments("3x3", generator, dtype=torch.float32, reach=0.3)
    input, offset, weight, bias, mask = tensors
    runs = []
    for _ in range(3):
        out = deform_conv2d(input, offset, weight, bias, mask=mask, backend=backend, **geometry)
        runs.append([out, *gradients(out, tensors)])
    for later in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], later, strict=True))
