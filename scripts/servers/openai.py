"""Writes a tiny llama with random weights in the GGUF format and serves it with llama.cpp: openai.py FILE PORT KEY.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import random
import struct
import sys
import threading
from array import array

CONTEXT, EMBEDDING, HEADS, FORWARD, LAYERS = 16384, 64, 4, 128, 2
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # kinds of token
U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9  # types of metadata
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;!?-_'\"()[]{}\n/\\"
SYLLABLES = "가나다라마바사아자차카타파하을를이는은에서고도로일과할한해했보통"
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def vocabulary():
    tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    tokens += [("<|im_end|>", CONTROL), ("<end_of_turn>", CONTROL)]  # further ends, so that most answers are short
    tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    return tokens + [(letter.replace(" ", "\u2581"), NORMAL) for letter in LETTERS + SYLLABLES]


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    return text(value) if kind == STRING else struct.pack({U32: "<I", I32: "<i", F32: "<f"}[kind], value)


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + scalar(kind, value)


def entries(key, kind, values):
    head = text(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(scalar(kind, value) for value in values)


def metadata(tokens):
    return [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "tiny"),
        entry("llama.context_length", U32, CONTEXT),
        entry("llama.embedding_length", U32, EMBEDDING),
        entry("llama.block_count", U32, LAYERS),
        entry("llama.feed_forward_length", U32, FORWARD),
        entry("llama.attention.head_count", U32, HEADS),
        entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        entry("llama.rope.dimension_count", U32, EMBEDDING // HEADS),
        entry("llama.vocab_size", U32, len(tokens)),
        entry("tokenizer.ggml.model", STRING, "llama"),
        entries("tokenizer.ggml.tokens", STRING, [token for token, _ in tokens]),
        entries("tokenizer.ggml.scores", F32, [-float(rank) for rank in range(len(tokens))]),
        entries("tokenizer.ggml.token_type", I32, [kind for _, kind in tokens]),
        entry("tokenizer.ggml.unknown_token_id", U32, 0),
        entry("tokenizer.ggml.bos_token_id", U32, 1),
        entry("tokenizer.ggml.eos_token_id", U32, 2),
        entry("tokenizer.chat_template", STRING, TEMPLATE),
    ]


def tensors(tokens):
    source = random.Random(20)

    def noise(count, scale):
        return array("f", (source.gauss(0, scale) for _ in range(count)))

    def matrix(name, width, height, scale):
        return (name, (width, height), noise(width * height, scale))

    output = array("f")
    for _, kind in tokens:  # single bytes, which are rarely text, are never the likeliest
        output.extend(noise(EMBEDDING, 0.0 if kind in (BYTE, UNKNOWN) else 1.0))
    ones = array("f", [1.0] * EMBEDDING)
    yield matrix("token_embd.weight", EMBEDDING, len(tokens), 1.0)
    yield ("output_norm.weight", (EMBEDDING,), ones)
    yield ("output.weight", (EMBEDDING, len(tokens)), output)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        yield (block + "attn_norm.weight", (EMBEDDING,), ones)
        yield (block + "ffn_norm.weight", (EMBEDDING,), ones)
        for part in ("q", "k", "v", "output"):
            yield matrix(f"{block}attn_{part}.weight", EMBEDDING, EMBEDDING, 0.2)
        yield matrix(block + "ffn_gate.weight", EMBEDDING, FORWARD, 0.2)
        yield matrix(block + "ffn_up.weight", EMBEDDING, FORWARD, 0.2)
        yield matrix(block + "ffn_down.weight", FORWARD, EMBEDDING, 0.2)


def write(path):
    tokens = vocabulary()
    meta, data = metadata(tokens), list(tensors(tokens))
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(data), len(meta)) + b"".join(meta))
    body = bytearray()
    for name, shape, values in data:
        sizes = b"".join(struct.pack("<Q", size) for size in shape)
        head += text(name) + struct.pack("<I", len(shape)) + sizes + struct.pack("<IQ", 0, len(body))
        body += values.tobytes()
        body += b"\0" * (-len(body) % 32)
    head += b"\0" * (-len(head) % 32)
    with open(path, "wb") as file:
        file.write(head + body)


def serve(path, port, key):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.api_keys = [key]
    params.n_parallel = 4
    params.n_ctx = CONTEXT * params.n_parallel
    params.n_batch = params.n_ubatch = 2048
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.embedding = True
    # Not the mean: llama.cpp takes it of a part only where texts of one batch are cut at different places.
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    params.warmup = False
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


write(sys.argv[1])
serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
