# llama.cpp's own server, from the wheel `xllamacpp`, with a tiny model whose weights are random: its answers are noise, but the
# protocol, streams, embeddings, grammars, limits and errors are the real ones.
get() {
  wheel xllamacpp 2026.10.11549
}
run() {
  local key=sk-pumasi-tests-0123456789
  launch env PYTHONPATH="$folder" PYTHONDONTWRITEBYTECODE=1 python3 "$scripts/servers/openai.py" "$home/data/tiny.gguf" "$port" "$key"
  await 60 replies "$port" 'GET /health HTTP/1.0\r\n\r\n' ' 200 ' || return
  printf 'export PUMASI_OPENAI_KEY=%s\nexport PUMASI_OPENAI_MODEL=tiny\nexport PUMASI_OPENAI_DIMENSIONS=64\n' "$key" >"$home/env"
}
