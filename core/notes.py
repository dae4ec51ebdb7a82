"""Notes: what an answer rests on that its reader should know. Codes are a registry."""

from __future__ import annotations

from mansard.core.errors import unknown_name
from mansard.core.records import dataclass

CODES: dict[str, str] = {
    "M001": "a key of the config that looks architectural was not read",
    "M002": "a size was assumed because the config does not give it",
    "M003": "the checkpoint's quantization method is not applied",
    "M004": "the context is longer than the model was made for",
    "M005": "two keys of the config say different things; one of them counts",
    "M006": "the config names a class its family's description was not made from",
    "M007": "a part of the model is not lowered",
    "M008": "what images add to the prompt, or that none are seen",
    "M009": "the prompt or the output means something else, or nothing, for this kind of model",
    "M010": "the hardware's figures are not verified",
    "M011": "the chip has no unit for a dtype; a wider one computes",
    "M012": "the rate of a unit is unknown; that work is bounded by memory only",
    "M013": "the memory capacity or bandwidth is unknown",
    "M014": "the latency of a link is unknown; 0 is used",
    "M020": "a technique matched nothing",
    "M021": "a technique left something out on purpose",
    "M022": "a technique was asked for in a way that cannot help",
    "M023": "a part of a model was left out of a technique, which has no form for it",
    "M030": "the model does not fit the device's memory",
    "M031": "no driver reserve is counted",
    "M040": "more than one device was asked for without saying how to use them",
    "M041": "the batch does not divide over data-parallel ranks; the fullest one is counted",
    "M042": "how the draft of speculative decoding is stored and divided",
    "M050": "a plugin was skipped",
    "M052": "a part of a checkpoint's quantization is not counted",
    "M054": "the config is not set as the class it names needs; it is lowered as if it were",
    "M055": "nothing of the model makes the memory it reads; a length is assumed",
    "M060": "an operator of an ONNX graph has no rule; its sizes are what the file declares",
    "M061": "a size the ONNX file declares, or two operands, contradict what operators make",
    "M062": "the ONNX file's operator set is newer than the rules",
    "M063": "a branch of an ONNX graph was chosen that data decide",
    "M064": "experts an ONNX graph computes one by one are counted as a mixture",
    "M069": "an ONNX graph computes nothing",
    "M070": "points of a sweep that do not fit the memory were left out of a reduction",
    "M071": "a combination of a sweep cannot be built",
    "M072": "points of a sweep that equal one of the front were left out",
    "M073": "lengths are a distribution: metrics are expectations",
    "M080": "a calibrated estimate rests on medians of other chips; its band is wide",
    "M081": "a calibrated time to first token excludes queueing",
    "M082": "a calibrated estimate takes experts as evenly loaded",
    "M083": "a user's calibration has no engine; that of the bundled sets slows its kernels",
    "M084": "rows of a calibrated estimate are at their bound: outside what was measured",
    "M085": "a set of a user's calibration is over 50 % off on what was held back",
    "M090": "an energy without a figure of its own: that of another counts, or none",
    "M091": "the carbon of making the devices is not counted",
    "M092": "the latency between chips of a dataflow is unknown; 0 is used",
    "M140": "one thing of a plugin was left out: it cannot be read, or another has its name",
    "M141": "the acceptance a speculation rests on, and what its draft costs",
    "M100": "images cannot be encoded: the sizes of the part that sees contradict each other",
    "M101": "what sounds add to the prompt, or that none are heard",
    "M102": "the text encoders and the autoencoder beside a denoiser are those of its pipeline",
    "M105": "no source of a bundled model states its dtype; 16 bits are counted",
    "M115": "a technique asks for decode steps that there are not",
    "M116": "a decoder is counted as one call, because a size that steps vary is fixed",
    "M158": "none of the sets of a user's calibration applies to the question",
    "M150": "nothing satisfies the constraints for some of many workloads; they have -1",
    "M157": "what varies in a sweep times no operator and changes nothing",
}
"""Code → what it is about, one line each; the docs are generated from it."""

UNKNOWN: frozenset[str] = frozenset({"M001", "M002", "M003", "M012", "M013", "M060"})
"""Codes that say something is unknown or was assumed; ``--strict`` refuses them."""


@dataclass(frozen=True)
class Note:
    """One note: a registered code and a sentence that names the particulars."""

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise unknown_name("note code", self.code, CODES)
