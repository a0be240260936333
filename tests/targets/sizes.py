"""How large programs are as a Llama.

python -m tests.targets.sizes      writes the table of docs/targets.md, in some minutes
"""

import re
from pathlib import Path

from tracr_lite import catalog
from tracr_lite.errors import CompileError
from tracr_lite.targets import after_separator, compile_rasp_to_llama

PAGE = Path(__file__).parent.parent.parent / "docs" / "targets.md"
PLACE = re.compile(r"(<!-- sizes -->\n).*?(<!-- end of sizes -->)", re.DOTALL)
POSITIONS = (16, 64, 256)
AS_THEY_ARE = (
    *("previous_token", "frac_prevs", "since_separator", "induction_head", "bracket_depth"),
    *("finite_automaton", "flip_flop", "running_maximum", "dyck1_ptf", "generate_automaton"),
    *("generate_binary_count", "generate_copy", "generate_reverse", "generate_sorted"),
    "generate_sum",
)
ANSWERING = ("hist", "length", "majority", "parity", "reverse")
HEAD = """\
| program | positions | d_model | layers | heads | MLP | parameters |
|---|--:|--:|--:|--:|--:|--:|
"""


def model_of(name, positions):
    """The model for so many positions, BOS among them."""
    entry = catalog.load(name)
    if name in ANSWERING:
        form = after_separator(entry.program, entry.vocab, (positions - 2) // 2)
        return compile_rasp_to_llama(form.program, form.vocab, form.max_seq_len, causal=True)
    causal = entry.causal
    return compile_rasp_to_llama(entry.program, entry.vocab, positions - 1, causal=causal)


def row(name, positions):
    """A line of the table."""
    try:
        model = model_of(name, positions)
    except CompileError as error:
        return f"| {name} | {positions} | refused: {error.problems[0].reason} | | | | |\n"
    config = model.config
    keys = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    sizes = " | ".join(f"{config[key]:,}" for key in keys)
    shown = f"{name}, answering" if name in ANSWERING else name
    return f"| {shown} | {positions} | {sizes} | {model.parameters / 1e6:.2f} M |\n"


def table():
    """All lines."""
    names = (*AS_THEY_ARE, *ANSWERING)
    return HEAD + "".join(row(name, positions) for name in names for positions in POSITIONS)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PLACE.sub(lambda found: found[1] + table() + found[2], text), "utf-8")
