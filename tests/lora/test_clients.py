"""The real PEFT on the real transformers: the same logits from the same files, both ways."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.lora.test_peft import run
from tracr_lite.llama.runtime import load
from tracr_lite.lora import attach
from tracr_lite.lora.peft import from_llama, load_peft, save_peft, to_llama

torch = pytest.importorskip("torch", reason="install tracr_lite[clients]")
transformers = pytest.importorskip("transformers", reason="install tracr_lite[clients]")
peft = pytest.importorskip("peft", reason="install tracr_lite[clients]")

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

IDS = [3, 7, 1, 39, 20, 4]
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "two modules": {"target_modules": ["q_proj", "v_proj"]},
    "patterns": {
        "target_modules": ALL,
        "rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 3},
        "alpha_pattern": {"v_proj": 5},
    },
    "rank-stabilised": {"target_modules": ALL, "use_rslora": True},
    "vocabulary and norms": {
        "target_modules": ["down_proj", "embed_tokens", "lm_head"],
        "modules_to_save": ["norm"],
    },
}


def base_model(folder, tied):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        tie_word_embeddings=tied,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def theirs(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].numpy()


def adapted(model, options):
    config = peft.LoraConfig(r=4, lora_alpha=6, task_type="CAUSAL_LM", **options)
    model = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("tied", [False, True])
def test_the_same_logits_as_peft_from_its_folder_and_ours(tmp_path, monkeypatch, name, tied):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if tied and name == "vocabulary and norms":
        options = {**ADAPTERS[name], "target_modules": ["down_proj"]}
    else:
        options = ADAPTERS[name]
    base, made, back = (tmp_path / x for x in ("base", "made", "back"))
    model = adapted(base_model(base, tied), options)
    want = theirs(model)
    model.save_pretrained(made)

    ours = load(base)
    adapter = to_llama(load_peft(made), ours.config)
    got = run(ours)(attach(ours.params, adapter), jnp.array([IDS]))
    np.testing.assert_allclose(got, want, atol=2e-5)
    assert np.abs(want - ours.logits(IDS)).max() > 0.1

    save_peft(back, from_llama(adapter, ours.config), str(base))
    plain = transformers.LlamaForCausalLM.from_pretrained(base).eval()
    again = peft.PeftModel.from_pretrained(plain, back).eval()
    np.testing.assert_allclose(theirs(again), want, atol=2e-5)
