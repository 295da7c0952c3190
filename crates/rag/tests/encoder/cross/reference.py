"""Writes tiny cross-encoders of both families with random weights, and scores.json: what the transformers library makes of pairs.json.

    pip install torch transformers safetensors     # what stands here was made with torch 1.13.1 and transformers 4.40.2
    python3 reference.py

A passage that is empty is none to that library, so there is no such pair.
"""

import json
import pathlib
import shutil

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

here = pathlib.Path(__file__).parent
words = ["<s>", "<pad>", "</s>", "<unk>"] + sorted(
    {word for pair in json.loads((here / "pairs.json").read_text()) for text in pair for word in text.split()}
)[::2]
vocabulary = {word: at for at, word in enumerate(words)}
sizes = {
    "vocab_size": len(words),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "pad_token_id": 1,
    "num_labels": 1,
    "initializer_range": 0.6,
}
families = {
    "bert": (
        transformers.BertConfig(**sizes, max_position_embeddings=24),
        transformers.BertForSequenceClassification,
        "<s> $A </s> $B:1 </s>:1",
    ),
    "xlm-roberta": (
        transformers.XLMRobertaConfig(**sizes, max_position_embeddings=26, type_vocab_size=1),
        transformers.XLMRobertaForSequenceClassification,
        "<s> $A </s> </s> $B:1 </s>:1",
    ),
}
torch.manual_seed(20)
for family, (config, architecture, pair) in families.items():
    folder = here / family
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(words[:4])
    special = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair=pair, special_tokens=special)
    reads = ["input_ids", "attention_mask"] + (["token_type_ids"] if family == "bert" else [])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=24, model_input_names=reads
    )
    model = architecture(config).eval()
    for name, parameter in model.named_parameters():  # biases too
        is_gain = name.endswith("LayerNorm.weight")
        parameter.data = torch.randn_like(parameter) * 0.4 + (1.0 if is_gain else 0.0)
    scores = []
    for question, passage in json.loads((here / "pairs.json").read_text()):
        inputs = fast(question, passage, truncation="longest_first", max_length=24, return_tensors="pt")
        with torch.no_grad():
            scores.append(model(**inputs).logits.item())
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 24}) + "\n")
    (folder / "scores.json").write_text(json.dumps(scores) + "\n")
