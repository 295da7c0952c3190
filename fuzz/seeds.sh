#!/usr/bin/env bash
# Writes one seed per committed case into the corpus of every target (run once before fuzzing).
set -euo pipefail
cd "$(dirname "$0")"
python3 - <<'PY'
import json, pathlib
cases = pathlib.Path("../crates/llm-parse/tests/cases")
for name in ("baml", "json_repair", "probes"):
    for line in (cases / f"{name}.jsonl").read_text().splitlines():
        case = json.loads(line)
        for one in (case, case.get("twin")):
            if not one:
                continue
            text, schema = one["input"], one.get("schema", True)
            suffix = "-twin" if one is not case else ""
            for target in ("read", "parse_typed", "stream_equals_oneshot", "parse_schema"):
                folder = pathlib.Path("corpus") / target
                folder.mkdir(parents=True, exist_ok=True)
                body = json.dumps(schema, ensure_ascii=False) + "\n" + text if target == "parse_schema" else text
                (folder / (case["id"] + suffix)).write_text(body)
PY
