"""What docs/llm-viewer.md says of LLM-Viewer, each sentence tried on a checkout.

A claim's text is the first cell of a row of the page's table; a test compares the two lists.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.shapes import DENSE
from peer.llm_viewer import LLMViewer

Check = Callable[[LLMViewer], bool]
BATCH, LENGTH = 16, 1024


@dataclass(frozen=True)
class Claim:
    """A sentence about the peer, and what shows that it is so."""

    says: str
    holds: Check


def answer(peer: LLMViewer, model: str = DENSE.model, **more: Any) -> dict[str, Any]:
    """Return its answer for 16 sequences of 1024."""
    found: dict[str, Any] = peer.analyzer(model).analyze(LENGTH, BATCH, **more)
    return found


def config(peer: LLMViewer, model: str = DENSE.model) -> Any:
    """Return a model's config as it has it."""
    return peer.analyzer(model).model_params


def head_is_half(peer: LLMViewer) -> bool:
    """Look at lm_head, of one row and of sixteen."""
    c, found = config(peer), answer(peer)["decode"]["lm_head"]
    row = (2 * c.hidden_size, 2 * c.vocab_size)
    once = found["OPs"] == BATCH * c.hidden_size * c.vocab_size
    return bool(once and (found["load_act"], found["store_act"]) == row)


def norms_weigh_nothing(peer: LLMViewer) -> bool:
    """Look at a norm of a step."""
    found = answer(peer)["decode"]
    norm = found["attn_norm"]
    weightless = norm["load_weight"] == 0 and "final_norm" not in found
    return bool(weightless and norm["OPs"] == 7 * BATCH * config(peer).hidden_size)


def adds_read_one(peer: LLMViewer) -> bool:
    """Look at a residual: it reads what it writes."""
    found = answer(peer)["decode"]["attn_add"]
    return bool(found["load_act"] == found["store_act"] == 2 * BATCH * config(peer).hidden_size)


def activation_is_narrow(peer: LLMViewer) -> bool:
    """Look at the activation between up and down."""
    found, wide = answer(peer)["decode"], config(peer).intermediate_size
    return bool(found["mlp_act"]["store_act"] == 2 * BATCH * config(peer).hidden_size
                < found["up_proj"]["store_act"] == 2 * BATCH * wide)  # fmt: skip


def queries_have_few_heads(peer: LLMViewer) -> bool:
    """Look at the query that the scores of a prefill read, beside the one a step reads."""
    found, c = answer(peer), config(peer)
    prefill, step = (found[p]["qk_matmul"]["load_act"] for p in ("prefill", "decode"))
    return bool(prefill == step * LENGTH * c.num_key_value_heads / c.num_attention_heads)


def operators_are_missing(peer: LLMViewer) -> bool:
    """Look for an embedding, for positions and for the move into the cache."""
    found = answer(peer)
    names = {*found["prefill"], *found["decode"]}
    return not any(word in name for name in names for word in ("embed", "rope", "rotary", "cache"))


def attention_is_square(peer: LLMViewer) -> bool:
    """Look at the scores of a prefill, fused and not."""
    c = config(peer)
    square = 2 * BATCH * LENGTH**2 * c.hidden_size
    fused = answer(peer, use_flashattention=True)["prefill"]["fused_attention"]["OPs"]
    return bool(answer(peer)["prefill"]["qk_matmul"]["OPs"] == square and fused > 2 * square)


def flash_writes_scores(peer: LLMViewer) -> bool:
    """Look at what the fused kernel stores, beside the scores of the kernels it replaces."""
    fused = answer(peer, use_flashattention=True)["prefill"]["fused_attention"]
    return bool(fused["store_act"] == 2 * answer(peer)["prefill"]["qk_matmul"]["store_act"])


def flash_reads_each_head(peer: LLMViewer) -> bool:
    """Look at the cache that a step reads with the fused kernel, and without."""
    plain, c = answer(peer)["decode"], config(peer)
    read = plain["qk_matmul"]["load_kv_cache"] + plain["sv_matmul"]["load_kv_cache"]
    fused = answer(peer, use_flashattention=True)["decode"]["fused_attention"]["load_kv_cache"]
    return bool(fused == read * c.num_attention_heads / c.num_key_value_heads)


def chat(peer: LLMViewer, tokens: int) -> tuple[dict[str, Any], list[float]]:
    """Return the totals of its stage chat, and the lengths it asks about."""
    module = importlib.import_module("get_model_graph")
    analyzer, lengths = peer.analyzer(), list[float]()
    original = analyzer.analyze

    def noted(seqlen: float, *arguments: Any, **more: Any) -> Any:
        lengths.append(seqlen)
        return original(seqlen, *arguments, **more)

    analyzer.analyze = noted
    key = "meta-llama/Llama-2-70b-hf"
    module.config_cache[f"{key}_nvidia_H100_None"] = analyzer
    asked = {"w_quant": "FP16", "a_quant": "FP16", "kv_quant": "FP16", "batch_size": BATCH,
             "seq_length": LENGTH, "gen_length": tokens, "use_flashattention": False,
             "stage": "chat"}  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        _, _, totals, _ = module.get_model_graph(key, "nvidia_H100", None, asked)
    return totals, lengths[1:]


def chat_samples(peer: LLMViewer) -> bool:
    """Ask for 100 tokens: it looks at ten."""
    return len(chat(peer, 100)[1]) == 10


def chat_adds_memory(peer: LLMViewer) -> bool:
    """Ask for 100 tokens: the weights are there 101 times."""
    totals, _ = chat(peer, 100)
    once = answer(peer)["total_results"]["prefill"]["memory_consumption_weight"]
    return bool(abs(totals["chat"]["memory_consumption_weight"] / once - 101) < 1e-6
                and totals["chat"] is totals["prefill"])  # fmt: skip


def one_step_too_many(peer: LLMViewer) -> bool:
    """Ask for one token: it adds a step to the prefill, of as many keys as the prompt has."""
    analyzer = peer.analyzer()
    taken = analyzer.analyze_generate_task(LENGTH, 1, BATCH)["inference_time"]
    found = analyzer.analyze(LENGTH, BATCH)["total_results"]
    return bool(taken == sum(found[p]["inference_time"] for p in ("prefill", "decode")))


def scales_are_free(peer: LLMViewer) -> bool:
    """Ask for weights of 4 bits: a quarter of those of 16."""
    sizes = [answer(peer, w_bit=b)["total_results"]["decode"]["load_weight"] for b in (4, 16)]
    return bool(sizes[1] == 4 * sizes[0])


def one_rate(peer: LLMViewer) -> bool:
    """Ask for 8 bits everywhere but in the cache, and then there too."""
    analyzer, chip = peer.analyzer(), peer.chips["h100-sxm"]
    rates = []
    for cache in (16, 8):
        analyzer.analyze(LENGTH, BATCH, w_bit=8, a_bit=8, kv_bit=cache)
        rates.append(analyzer.get_hardware_info()[1])
    return rates == [chip["FP16"], chip["INT8"]]


def memory_is_of_a_layer(peer: LLMViewer) -> bool:
    """Look at what it says is held: weights of layers, results of a layer, the prompt's cache."""
    found, c = answer(peer), config(peer)
    held = found["total_results"]["prefill"]
    results = sum(o["store_act"] for n, o in found["prefill"].items() if n != "lm_head")
    table = 2 * c.hidden_size * c.vocab_size
    cache = 4 * BATCH * LENGTH * c.num_hidden_layers * c.hidden_size / 8
    return bool(held["memory_consumption_tmp_act"] == results
                and held["memory_consumption_weight"] == held["load_weight"] - table
                and held["memory_consumption_kv_cache"] == cache)  # fmt: skip


def head_dim_is_not_read(peer: LLMViewer) -> bool:
    """Look at the queries of Mistral Nemo: 32 heads of 128 on a width of 5120."""
    found = answer(peer, "mistral-nemo-12b")["decode"]["q_proj"]
    return bool(found["load_weight"] == 2 * 5120 * 5120 and 32 * 128 != 5120)


def ratio_is_not_read(peer: LLMViewer) -> bool:
    """Ask for a tenth of the cache."""
    plain, less = answer(peer)["total_results"], answer(peer, kv_token_ratio=0.1)["total_results"]
    return bool(plain == less)


def five_templates(peer: LLMViewer) -> bool:
    """Count its templates."""
    return len(list((peer.folder / "configs").glob("*.py"))) == 5


def its_own_h100(peer: LLMViewer) -> bool:
    """Look at its H100."""
    return bool(peer.chips["nvidia_H100_SXM"]["bandwidth"] == 3072e9)


def no_rate_no_answer(peer: LLMViewer) -> bool:
    """Ask its Core i9, of which no rate of 8 bits is stated, about 8 bits."""
    with contextlib.suppress(KeyError):
        peer.analyzer(chip="intel_13900k").analyze(LENGTH, BATCH, 8, 8, 8)
        return False
    return True


CLAIMS = (
    Claim("`lm_head` takes one FLOP a weight and row, and moves one row whatever the batch",
          head_is_half),
    Claim("a norm takes 7 FLOP an element and reads no weights; the one before the head is absent",
          norms_weigh_nothing),
    Claim("a residual reads one operand", adds_read_one),
    Claim("the activation between up and down has the hidden width", activation_is_narrow),
    Claim("the query that a prefill's scores read has the KV heads", queries_have_few_heads),
    Claim("no embedding, no rotary positions, no move into the cache", operators_are_missing),
    Claim("attention of a prefill is the whole square, with FlashAttention too",
          attention_is_square),
    Claim("FlashAttention writes twice the scores it is there to avoid", flash_writes_scores),
    Claim("FlashAttention reads keys and values once for every query head", flash_reads_each_head),
    Claim("chat: ten lengths are sampled", chat_samples),
    Claim("chat: memory, too, is added up over the steps, and prefill shows the sum",
          chat_adds_memory),
    Claim("a generation of n tokens takes n steps after the prefill, the first of `prompt` keys",
          one_step_too_many),
    Claim("quantized weights have no scales", scales_are_free),
    Claim("one rate for every operator: 8 bit where weights, activations and cache have 8 or less",
          one_rate),
    Claim("memory: weights of the layers, every result of one layer, the prompt's cache",
          memory_is_of_a_layer),
    Claim("a head has `hidden_size / num_attention_heads` elements", head_dim_is_not_read),
    Claim("`kv_token_ratio` changes nothing", ratio_is_not_read),
    Claim("five templates, none with experts, latent attention, windows or several devices",
          five_templates),
    Claim("its H100 has 3072 GB/s", its_own_h100),
    Claim("a rate that no source states ends with a `KeyError`", no_rate_no_answer),
)  # fmt: skip


def tried(peer: LLMViewer) -> Iterator[tuple[Claim, bool]]:
    """Yield each claim with whether it still holds."""
    for claim in CLAIMS:
        yield claim, claim.holds(peer)
