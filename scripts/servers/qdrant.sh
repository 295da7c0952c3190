# A stand-in for Qdrant, of which no server can be had without Docker: Qdrant's own engine in a process (the wheel `qdrant-edge-py`) behind
# the gRPC services that Qdrant's Python client brings along. What it does not know it refuses, as it does a cluster and snapshots.
get() {
  path=""
  local part
  for part in qdrant-edge-py=0.9.0 qdrant-client=1.20.0 grpcio=1.85.1 protobuf=7.36.2 typing-extensions=4.16.0; do
    wheel "${part%=*}" "${part#*=}" || return
    path="$path:$folder"
  done
}
run() {
  serve
}
serve() {
  launch env PYTHONPATH="${path#:}" PYTHONDONTWRITEBYTECODE=1 python3 "$scripts/servers/qdrant.py" "$home/data" "$port"
  await 60 listens "$port"
}
