# OpenSearch 2.19 as published for integration tests on Maven Central: the server and its transport, without optional modules.
get() {
  java_from 11 && jars opensearch 2.19.3 "$scripts/servers/opensearch.pom.xml" || return
  program="$folder/opensearch-2.19.3/bin/opensearch"
  if [ ! -x "$program" ]; then
    python3 -m zipfile -e "$folder"/opensearch-2.19.3.zip "$folder" >>"$home/log" 2>&1 || { because "it cannot be unpacked"; return 1; }
    chmod -R a+rX "$folder" && chmod a+rx "$folder"/opensearch-2.19.3/bin/*
  fi
}
run() {
  local transport runtime
  transport=$(free_port) || return
  runtime=$(readlink -f "$(command -v java)")
  mkdir -p "$home/data/config" "$home/data/store" "$home/data/logs" "$home/data/tmp"
  cp "$scripts/servers/opensearch.jvm.options" "$home/data/config/jvm.options"
  cp "$scripts/servers/log4j2.properties" "$home/data/config/log4j2.properties"
  cat >"$home/data/config/opensearch.yml" <<END
cluster.name: pumasi
discovery.type: single-node
network.host: 127.0.0.1
http.port: $port
transport.port: $transport
path.data: $home/data/store
path.logs: $home/data/logs
cluster.routing.allocation.disk.threshold_enabled: false
END
  hand_over "$home/data" || return
  launch env OPENSEARCH_JAVA_HOME="${runtime%/bin/java}" OPENSEARCH_PATH_CONF="$home/data/config" OPENSEARCH_TMPDIR="$home/data/tmp" \
    ${plain[@]+"${plain[@]}"} "$program"
  await 180 replies "$port" 'GET /_cluster/health HTTP/1.0\r\n\r\n' ' 200 '
}
