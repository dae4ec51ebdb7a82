"""GGUF files as models: the header says sizes and quantization; weights are not read.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mansard as ms

MANSARD_API = 1
MAGIC = b"GGUF"
LARGEST = 64_000_000
"""Bytes of a header: a vocabulary of 256k tokens has some 10 MB."""
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
           11: "<q", 12: "<d"}  # fmt: skip
STRING, ARRAY = 8, 9
TYPES = {0: "fp32", 1: "fp16", 2: "int4 group=32", 8: "q8_0", 10: "q2_k", 11: "q3_k", 12: "q4_k",
         13: "q5_k", 14: "q6_k", 30: "bf16"}  # fmt: skip
"""ggml's type of a tensor → how ``quantize`` writes it; q4_0 is int4 in groups of 32."""
MODULES = {"attn_q": "q_proj", "attn_k": "k_proj", "attn_v": "v_proj", "attn_output": "o_proj",
           "ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj",
           "output": "lm_head"}  # fmt: skip
FAMILIES = {"llama": ("llama", "LlamaForCausalLM"), "qwen2": ("qwen2", "Qwen2ForCausalLM"),
            "qwen3": ("qwen3", "Qwen3ForCausalLM")}  # fmt: skip


class Reader:
    """Reads a header from the front."""

    def __init__(self, path):
        self.path, self.at = path, 0
        try:
            with open(path, "rb") as file:
                self.data = file.read(LARGEST)
        except OSError as error:
            raise ms.MansardError(f"{path}: {error.strerror}", hint="give a .gguf file") from error

    def take(self, form):
        """Return one number."""
        try:
            (value,) = struct.unpack_from(form, self.data, self.at)
        except struct.error:
            raise self.bad("it ends inside its header") from None
        self.at += struct.calcsize(form)
        return value

    def text(self):
        """Return a string."""
        size = self.take("<Q")
        if size > len(self.data) - self.at:
            raise self.bad("a string is longer than the file")
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "replace")

    def value(self, kind, depth=0):
        """Return a value of the metadata; of an array, its length."""
        if kind == STRING:
            return self.text()
        if kind == ARRAY and depth < 4:
            inner, size = self.take("<I"), self.take("<Q")
            for _ in range(size):
                self.value(inner, depth + 1)
            return size
        if kind not in SCALARS:
            raise self.bad(f"a value of type {kind}")
        return self.take(SCALARS[kind])

    def bad(self, why):
        """Return the error of a file that is not what it should be."""
        return ms.MansardError(f"{self.path}: no GGUF file mansard can read: {why}",
                               hint="give a GGUF file of version 2 or 3")  # fmt: skip


def header(path):
    """Return metadata, and tensors by name: (shape, type)."""
    reader = Reader(path)
    if reader.data[:4] != MAGIC:
        raise reader.bad("it does not begin with GGUF")
    reader.at = 4
    if reader.take("<I") not in (2, 3):
        raise reader.bad("of another version")
    tensors, pairs = reader.take("<Q"), reader.take("<Q")
    meta = {}
    for _ in range(pairs):
        key = reader.text()
        meta[key] = reader.value(reader.take("<I"))
    found = {}
    for _ in range(tensors):
        name = reader.text()
        shape = tuple(reader.take("<Q") for _ in range(min(reader.take("<I"), 8)))
        found[name] = shape, reader.take("<I")
        reader.take("<Q")  # where its weights begin
    return meta, found


def config(path, meta, tensors):
    """Return a config as a checkpoint of the family has it."""
    family = meta.get("general.architecture")
    if family not in FAMILIES:
        raise ms.MansardError(f"{path}: the architecture {family!r} is not known here",
                              hint=f"one of {', '.join(FAMILIES)}")  # fmt: skip

    def size(key, default=None):
        value = meta.get(f"{family}.{key}", default)
        if not isinstance(value, int) or value < 1:
            raise ms.MansardError(f"{path}: {family}.{key} is {value!r}", hint="convert it again")
        return value

    heads, width = size("attention.head_count"), size("embedding_length")
    model_type, architecture = FAMILIES[family]
    return {
        "model_type": model_type,
        "architectures": [architecture],
        "_name_or_path": str(meta.get("general.name", Path(path).stem)),
        "hidden_size": width,
        "num_hidden_layers": size("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": size("attention.head_count_kv", heads),
        "head_dim": size("attention.key_length", width // heads),
        "intermediate_size": size("feed_forward_length"),
        "vocab_size": tensors["token_embd.weight"][0][1],
        "max_position_embeddings": size("context_length"),
        "tie_word_embeddings": "output.weight" not in tensors,
        "torch_dtype": "bfloat16",
    }


def pipeline(path, tensors):
    """Return the quantizations as a pipeline, and notes of what it cannot say."""
    kinds = {}
    for name, (_, kind) in tensors.items():
        module = MODULES.get(name.removesuffix(".weight").rpartition(".")[2])
        if module and kind not in TYPES:
            raise ms.MansardError(f"{path}: {name} has ggml's type {kind}, which is not known here",
                                  hint="requantize it to a k-quant")  # fmt: skip
        if module:
            kinds.setdefault(module, Counter())[TYPES[kind]] += 1
    notes, chosen = [], {}
    for module, counts in kinds.items():
        most, layers = counts.most_common(1)[0]
        chosen.setdefault(most, []).append(module)
        if len(counts) > 1:
            others = ", ".join(f"{n} {k}" for k, n in counts.items() if k != most)
            said = f"{module} is {most} in {layers} layers, and so it counts; {others} besides"
            notes.append(ms.Note("M003", said))
    every = [*MODULES.values(), "embed"]
    passes = [
        f"quantize{{weights={kind} skip=[{' '.join(m for m in every if m not in modules)}]}}"
        for kind, modules in chosen.items()
        if kind not in ("bf16", "fp16", "fp32")
    ]
    return ",".join(passes), tuple(notes)


class Gguf:
    """Models in ``.gguf`` files."""

    name = "gguf"

    def accepts(self, source):
        """Paths that end in ``.gguf``."""
        return isinstance(source, (str, Path)) and str(source).lower().endswith(".gguf")

    def load(self, source, overrides=None):
        """Return the program, quantized as the file is."""
        meta, tensors = header(source)
        if "token_embd.weight" not in tensors:
            raise ms.MansardError(f"{source}: no token_embd.weight", hint="give a language model")
        values = config(source, meta, tensors)
        program = ms.load(values, set={f"model.{k}": v for k, v in (overrides or {}).items()})
        text, notes = pipeline(source, tensors)
        origin = replace(program.origin, name=values["_name_or_path"], source="gguf",
                         pipeline=text, notes=(*program.origin.notes, *notes))  # fmt: skip
        return replace(program, origin=origin)


@ms.hookimpl
def mansard_frontends():
    """Say that the frontend exists."""
    return [Gguf()]


def show():
    """Say what the command of this plugin would do: the commands of plugins need no click."""
    print("mansard analyze MODEL.gguf --on HW reads the header of a GGUF file")
