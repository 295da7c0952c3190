"""Checks examples/deploy/compose.yaml as far as that goes without an engine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

try:
    import yaml
except ImportError:
    yaml = None

ROOT = Path(__file__).resolve().parents[2]
# A tag that says a version, to the patch or to what the project calls a release; `latest` and `18` move.
PINNED = re.compile(r"^[^:@\s]+(/[^:@\s]+)*:v?\d+\.\d+[^:\s]*$|@sha256:[0-9a-f]{64}$")
# What a service may say, of what the Compose Specification knows: a misspelt key would be passed over by nobody but us.
KNOWN = {
    "image", "build", "command", "environment", "ports", "expose", "volumes", "depends_on", "healthcheck", "restart", "profiles",
    "user", "read_only", "tmpfs", "cap_drop", "security_opt", "stop_grace_period", "deploy", "networks", "init", "configs", "hostname",
}  # fmt: skip


def check(folder, fail):
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM\s+(\S+)", dockerfile, flags=re.M)
    stages = set(re.findall(r"^FROM\s+\S+\s+AS\s+(\S+)", dockerfile, flags=re.M | re.I))
    for base in bases:
        if base not in stages and not PINNED.search(base):
            fail(f"Dockerfile: {base} is not pinned")
    for line in re.findall(r"^COPY\s+(?!--from)(.+)$", dockerfile, flags=re.M):
        for source in line.split()[:-1]:
            if not source.startswith("--") and not list(ROOT.glob(source.rstrip("/"))):
                fail(f"Dockerfile: there is no {source} to copy")
    if yaml is None:
        print("skipped: compose.yaml: Python has no module yaml (Debian: python3-yaml)", file=sys.stderr)
        return
    compose = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))
    services, volumes = compose["services"], compose.get("volumes") or {}
    for name, service in services.items():
        judge(folder, name, service, services, volumes, dockerfile, fail)
    for file in folder.rglob("*.y*ml"):
        list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    text = (folder / "compose.yaml").read_text(encoding="utf-8")
    example = set(re.findall(r"^(\w+)=", (folder / ".env.example").read_text(encoding="utf-8"), flags=re.M))
    asked = set(re.findall(r"\$\{(\w+)", text))
    if asked != example:
        fail(f".env.example and compose.yaml name different variables: {', '.join(sorted(asked ^ example))}")
    engine = config(folder)
    print(f"ok: compose.yaml: {len(services)} services, images pinned, files there; {engine}")


def judge(folder, name, service, services, volumes, dockerfile, fail):
    unknown = set(service) - KNOWN
    if unknown:
        fail(f"compose.yaml: {name}: unknown: {', '.join(sorted(unknown))}")
    if ("image" in service) == ("build" in service):
        fail(f"compose.yaml: {name} has an image and a build, or neither")
    if "image" in service and not PINNED.search(service["image"]):
        fail(f"compose.yaml: {name}: {service['image']} is not pinned")
    if "build" in service:
        context = (folder / service["build"]["context"]).resolve()
        if not (context / service["build"]["dockerfile"]).is_file():
            fail(f"compose.yaml: {name}: there is no {service['build']['dockerfile']} in {context}")
        if not re.search(rf"^FROM\s+\S+\s+AS\s+{service['build']['target']}$", dockerfile, flags=re.M | re.I):
            fail(f"compose.yaml: {name}: the Dockerfile has no stage {service['build']['target']}")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith(".") and not (folder / source).exists():
            fail(f"compose.yaml: {name}: there is no {source}")
        if not source.startswith((".", "/")) and source not in volumes:
            fail(f"compose.yaml: {name}: the volume {source} is not declared")
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            fail(f"compose.yaml: {name}: {port} is open to other machines")
    for other, condition in (service.get("depends_on") or {}).items():
        if other not in services:
            fail(f"compose.yaml: {name} depends on {other}, which is none")
        if condition.get("condition") == "service_healthy" and "healthcheck" not in services[other]:
            fail(f"compose.yaml: {name} waits until {other} is healthy, and that has no check")
    # what the service is told by variables, its sources read
    if "build" in service:
        example = service["command"][0]
        sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "examples").rglob("*.rs"))
        for variable in service.get("environment", {}):
            if f'"{variable}"' not in sources and variable != "RUST_LOG":
                fail(f"compose.yaml: {name} sets {variable}, which no example reads")
        if not (ROOT / "examples" / example / "main.rs").is_file():
            fail(f"compose.yaml: {name}: there is no example {example}")


def config(folder):
    """Has Docker Compose read the file, where there is one; no engine has to answer for that."""
    known = [["docker", "compose"], ["docker-compose"]]
    compose = next((command for command in known if answers([*command, "version"])), None)
    if compose is None:
        return "skipped: Docker Compose's own reading of it, which is not installed"
    needed = re.findall(r"\$\{(\w+):\?", (folder / "compose.yaml").read_text(encoding="utf-8"))
    environment = {**os.environ, **dict.fromkeys(needed, "set-for-the-check")}
    command = [*compose, "--profile", "slack", "config", "--quiet"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"FAILED: {' '.join(command)}: {done.stderr}")
    return "Docker Compose takes it"


def answers(command):
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0
