"""Embeds by Python's ONNX Runtime, as `encoder_onnx` asks: a line of JSON texts in, a line with seconds and vectors out.

    python3 peer.py WEIGHTS THREADS        # needs onnxruntime, tokenizers and numpy
"""

import json
import pathlib
import sys
import time

import numpy
import onnxruntime
import tokenizers

folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
wanted = {one.name for one in session.get_inputs()}
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.enable_truncation(256)
tokenizer.no_padding()


def embed(texts, size):
    """Mean-pooled vectors of length one; batches of `size` texts, sorted by length, so that little is padded."""
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    order = sorted(range(len(texts)), key=lambda at: -len(tokens[at]))
    vectors = [None] * len(texts)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        ids = numpy.zeros((len(batch), len(tokens[batch[0]])), dtype=numpy.int64)
        mask = numpy.zeros_like(ids)
        for row, at in enumerate(batch):
            ids[row, : len(tokens[at])] = tokens[at]
            mask[row, : len(tokens[at])] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        states = session.run(None, {name: value for name, value in inputs.items() if name in wanted})[0]
        pooled = (states * mask[:, :, None].astype(numpy.float32)).sum(axis=1)
        pooled /= numpy.linalg.norm(pooled, axis=1, keepdims=True)
        for row, at in enumerate(batch):
            vectors[at] = pooled[row]
    return numpy.array(vectors)


print(json.dumps({"onnxruntime": onnxruntime.__version__}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    started = time.perf_counter()
    vectors = embed(asked["texts"], asked["batch"])
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "vectors": vectors.tolist()}), flush=True)
