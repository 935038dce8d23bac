"""The GPU's whole masks are the CPU's windowed ones, and encode alike."""

import pytest
import torch

from tests.yolactpp.inference.test_detect import head_outputs
from yolactpp.evaluation.records import detections_to_coco
from yolactpp.inference.detect import Detector
from yolactpp.structures import HeadOutputs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("mode", ["fast", "cross_class", "traditional"])
def test_cuda_equals_cpu(mode: str) -> None:
    outputs = head_outputs(torch.Generator().manual_seed(0))
    on_gpu = HeadOutputs(
        outputs.loc_BP4.cuda(),
        outputs.class_logits_BPC.cuda(),
        outputs.coefficients_BPK.cuda(),
        outputs.prototypes_BHWK.cuda(),
        outputs.priors_P4.cuda(),
    )
    sizes = [(131, 97), (60, 200), (64, 64)]
    detector = Detector(mode=mode)
    with torch.autocast("cuda", torch.bfloat16):
        found_gpu = detector(on_gpu, sizes)
    for cpu, gpu, size in zip(detector(outputs, sizes), found_gpu, sizes, strict=True):
        assert gpu.masks_NHW.shape == (len(cpu), *size)
        assert gpu.masks_NHW.device.type == "cuda"
        torch.testing.assert_close(gpu.scores_N.cpu(), cpu.scores_N, rtol=1e-4, atol=1e-6)
        assert (gpu.masks_NHW.cpu() != cpu.masks_NHW).sum() <= 1e-4 * cpu.masks_NHW.numel()
        bbox, segm = detections_to_coco(gpu, 0, [1, 2, 3])
        assert len(bbox) == len(segm) <= len(cpu)
