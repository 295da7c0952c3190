"""The checks that scripts/dashboards makes."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import compose
import traffic
from processes import Process, free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples" / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
TESTS = DEPLOY / "prometheus" / "alerts.test.yml"
# For how long traffic goes on at most until every query has data: some have none before a job that is due each minute was done, and a
# busy machine takes its time.
PATIENCE = 300
# What stands in a dashboard for Grafana to fill in, and a minute's worth of it.
RANGE = {"$__rate_interval": "20s", "$__range": "90s", "$__interval": "2s"}
# What is zero where all is well, as it is here.
QUIET = {
    "pumasi_event_dead_letters", "pumasi_event_lag", "pumasi_outbox_oldest_seconds", "pumasi_outbox_pending", "pumasi_outbox_refused", "pumasi_search_lag_seconds", "pumasi_fallback_errors_total", "pumasi_hedges_total", "pumasi_retries_total",
    "pumasi_rag_retrieval_notes_total", "saga_claimable", "saga_held", "saga_overdue_seconds", "saga_parked_total", "saga_store_failures_total",
}  # fmt: skip
# What no crate exports: Prometheus' own.
OWN = {"up"}
WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def fail(message):
    print(f"FAILED: {message}", file=sys.stderr)
    sys.exit(1)


def names(query):
    """The metrics that a query names: what is left without strings, labels and groupings, and is no function."""
    query = re.sub(r'"[^"]*"', "", query)
    query = re.sub(r"\{[^}]*\}", " ", query)
    query = re.sub(r"\[[^\]]*\]", " ", query)
    query = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", query)
    words = [(word.group(), query[word.end() :].lstrip()[:1]) for word in WORD.finditer(query)]
    keywords = {"and", "or", "unless", "offset", "bool", "by", "without"}
    return {word for word, after in words if after != "(" and word not in keywords and not re.fullmatch(r"[smhdwy]|e\d*", word)}


def panels():
    """Every query of every panel: dashboard, panel, query, whether it is asked for one moment."""
    seen = set()
    for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text(encoding="utf-8"))
        if board["uid"] in seen:
            fail(f"{file.name}: the uid {board['uid']} is another dashboard's")
        seen.add(board["uid"])
        ids = [panel["id"] for panel in board["panels"]]
        if len(ids) != len(set(ids)):
            fail(f"{file.name}: two panels have one id")
        for panel in board["panels"]:
            if panel["type"] != "row" and not panel.get("targets"):
                fail(f"{file.name}: {panel['title']} asks nothing")
            for target in panel.get("targets", []):
                yield file.name, panel["title"], target["expr"], target.get("instant", False)


def alerts():
    """Every alert and its query, as the file of rules has them: a block scalar, or one line."""
    text = RULES.read_text(encoding="utf-8")
    for block in re.split(r"^\s*- alert: ", text, flags=re.M)[1:]:
        name = block.split("\n", 1)[0].strip()
        query = re.search(r"expr: (?:>-\n(.*?)|([^\n]*))\n\s+for:", block, flags=re.S)
        yield name, " ".join((query[1] or query[2]).split())


def exported():
    """The names of metrics in the sources, as Prometheus is told them."""
    sources = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("examples/**/*.rs")]
    literal = re.compile(r'"((?:saga_|pumasi_|http_server_|club_|weather_|resume_|dev_search_|gen_ai\.)[a-z0-9_.]+)"')
    return {found.replace(".", "_") for source in sources for found in literal.findall(source.read_text(encoding="utf-8"))}


def check_names(queries):
    known = exported() | OWN
    unknown = {(where, name) for where, query in queries for name in names(query) if re.sub(r"_(bucket|count|sum)$", "", name) not in known}
    if unknown:
        fail("no crate exports: " + ", ".join(f"{name} ({where})" for where, name in sorted(unknown)))
    told = {name for _, query in queries for name in names(query)}
    print(f"ok: {len(queries)} queries name {len(told)} metrics, and a crate exports each")


def check_alert_tests(rules):
    tests = TESTS.read_text(encoding="utf-8")
    well, _, ill = tests.partition("\n  - name: services that are down")
    for name, _ in rules:
        if f"alertname: {name}}}" not in well:
            fail(f"{TESTS.name} does not hold {name} silent where all is well")
        if f"alertname: {name}\n        exp_alerts:\n          -" not in ill:
            fail(f"{TESTS.name} does not make {name} fire")
    for command in (["check", "rules", RULES.name], ["check", "config", "prometheus.yml"], ["test", "rules", TESTS.name]):
        done = subprocess.run(["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, timeout=110)
        if done.returncode != 0:
            fail(f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}")
    print(f"ok: promtool takes the rules and the configuration; {len(rules)} alerts fire when they should, and only then")


class Prometheus:
    """A real one, that scrapes the services every second."""

    def __init__(self, folder, services):
        self.port = free_port()
        shutil.copy(RULES, folder)
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}]} for name, url in services.items()
        ]
        settings = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        # JSON is YAML.
        config = {"global": settings, "rule_files": [RULES.name], "scrape_configs": jobs}
        (folder / "prometheus.json").write_text(json.dumps(config), encoding="utf-8")
        arguments = [f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/tsdb", "--log.level=warn"]
        self.process = Process(["prometheus", f"--web.listen-address=127.0.0.1:{self.port}", *arguments], folder / "prometheus.log")

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)

    def wait(self, count):
        """Until all services were scraped three times: what a counter grew by is known from its second sample on."""
        for _ in range(600):
            self.process.check()
            try:
                ready = self.get("/api/v1/query", query="count(count_over_time(up[30s]) >= 3 and up == 1)")
                if ready["data"]["result"] and int(ready["data"]["result"][0]["value"][1]) == count:
                    return
            except (OSError, ValueError):  # not listening yet, or not ready
                pass
            time.sleep(0.1)
        fail("Prometheus has not scraped all services within a minute")

    def ask(self, query, instant):
        """Why a query has no data; None if it has."""
        quiet = names(query) <= QUIET or 'status="needs_operator"' in query
        for name, value in RANGE.items():
            query = query.replace(name, value)
        now = time.time()
        if instant:
            answer = self.get("/api/v1/query", query=query, time=now)
        else:
            answer = self.get("/api/v1/query_range", query=query, start=now - 60, end=now, step=2)
        if answer["status"] != "success":
            return answer["error"]
        values = [value for series in answer["data"]["result"] for _, value in series.get("values", [series.get("value")])]
        if not values:
            return "no data"
        numbers = [float(value) for value in values]
        numbers = [number for number in numbers if math.isfinite(number)]
        if not numbers:
            return "nothing but NaN and infinities"
        return None if quiet or any(numbers) else "nothing but zeros"


def check_live(queries, rules):
    with tempfile.TemporaryDirectory(prefix="pumasi-dashboards-") as name:
        folder = Path(name)
        begun = time.monotonic()
        running = []
        try:
            world = traffic.World(Path(os.environ["CARGO_TARGET_DIR"]) / "debug" / "examples", folder, running)
            prometheus = Prometheus(folder, world.services())
            running.append(prometheus.process)
            prometheus.wait(len(world.services()))
            open_queries, rounds = dict.fromkeys(queries, "not asked yet"), 0
            while open_queries and time.monotonic() - begun < PATIENCE:
                world.round(rounds)
                rounds += 1
                for query in list(open_queries):
                    reason = prometheus.ask(query[2], query[3])
                    if reason is None:
                        del open_queries[query]
                    else:
                        open_queries[query] = reason
            for process in running:
                process.check()
            if open_queries:
                told = [f"{board}: {panel}: {query}\n    {reason}" for (board, panel, query, _), reason in open_queries.items()]
                fail(f"{len(told)} queries without data after {rounds} rounds of traffic:\n" + "\n".join(told))
            groups = prometheus.get("/api/v1/rules")["data"]["groups"]
            judged = {rule["name"]: rule for group in groups for rule in group["rules"]}
            for name, _ in rules:
                if name not in judged or judged[name]["health"] != "ok":
                    fail(f"Prometheus does not judge {name}: {judged.get(name, {}).get('lastError', 'it has no such rule')}")
            seconds = time.monotonic() - begun
            print(f"ok: {len(queries)} queries of panels have data, {len(rules)} alerts are judged; {rounds} rounds, {seconds:.0f} s")
        finally:
            for process in reversed(running):
                process.stop()


def main():
    queries, rules = list(panels()), list(alerts())
    asked = [(f"{board}: {panel}", query) for board, panel, query, _ in queries] + rules
    check_names(asked)
    compose.check(DEPLOY, fail)
    missing = [tool for tool in ("prometheus", "promtool") if shutil.which(tool) is None]
    if missing:
        print(f"skipped: rules, alerts and live queries: {' and '.join(missing)} not installed", file=sys.stderr)
        required = os.environ.get("PUMASI_REQUIRE", "").split(",")
        sys.exit(1 if {"prometheus", "all"} & set(required) else 0)
    check_alert_tests(rules)
    if "--static" not in sys.argv[1:]:
        check_live(list(dict.fromkeys(queries)), rules)


main()
