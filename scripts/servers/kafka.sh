# One Kafka node (broker and controller), from Maven Central.
get() {
  java_from 17 && jars kafka 4.1.1 "$scripts/servers/kafka.pom.xml"
}
run() {
  local controller
  controller=$(free_port) || return
  sed "s|@PORT@|$port|g; s|@CONTROLLER@|$controller|g; s|@DATA@|$home/data|g" "$scripts/servers/kafka.properties" >"$home/kafka.properties"
  of_kafka env kafka.tools.StorageTool format --standalone --cluster-id pumasi-tests-00000000w --config "$home/kafka.properties" \
    >>"$home/log" 2>&1 || { because "its storage cannot be formatted (see $home/log)"; return 1; }
  serve
}
of_kafka() { # how it is run, a class of its, arguments…
  local how=$1
  shift
  "$how" java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$scripts/servers/log4j2.properties" -cp "$folder/*" "$@"
}
serve() {
  of_kafka launch kafka.Kafka "$home/kafka.properties"
  await 150 listens "$port"
}
