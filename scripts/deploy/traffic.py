"""The example services, each in a process of its own, and people who use them."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import time
import urllib.parse

from processes import Process
from standins import GOOD, HALF, INSTRUCTION, REFUSED, USELESS, StandIns

KEY = "a key for the time of this check, of at least thirty-two bytes"
SECRET = "a signing secret for the time of this check"
SERVICES = {
    "every_task": "tasks",
    "slack_bot": "slack",
    "running_coach": "coach.sqlite",
    "race_registration": "races",
    "dev_search": "search",
    "running_club": "club",
    "weather_community": "weather",
    "resume_writer": "resumes",
}


def token(service, name, role):
    """A bearer token as whoever holds the key would sign it."""
    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    claims = {"sub": name, "role": role, "aud": service, "exp": int(time.time()) + 3600}
    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (signed + b"." + encode(hmac.digest(KEY.encode(), signed, hashlib.sha256))).decode()


class World:
    def __init__(self, examples, folder, running):
        standins = StandIns()
        running.append(standins)
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("OPENAI_API_KEY", "RUST_LOG")},
            "PUMASI_LLM_URL": f"{standins.url}/v1",
            "PUMASI_LLM_MODEL": "stand-in",
            "PUMASI_LLM_PRICE": "0.25,2",
            "PUMASI_TOKEN_KEY": KEY,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_BOT_TOKEN": "xoxb-not-a-real-token",
            "SLACK_CHANNEL": "C-CLUB",
            "SLACK_API_URL": f"{standins.url}/api",
            "PUMASI_NOTIFY_URL": f"{standins.url}/notices",
            "PUMASI_NOTIFY_SECRET": SECRET,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        # Files of their own, whatever servers the environment names for tests.
        for name in ("POSTGRES_URL", "REDIS_URL", "KAFKA_URL", "OPENSEARCH_URL", "QDRANT_URL", "GITHUB_TOKEN", "GITHUB_URL", "GITHUB_EXPORT"):
            environment.pop(f"PUMASI_{name}", None)
        self.processes = {}
        for name, data in SERVICES.items():
            command = [str(examples / name), "serve", "--listen", "127.0.0.1:0"]
            if data:
                command += ["--data", str(folder / data)]
            if name == "race_registration":
                command.append("--play-gateway")
            self.processes[name] = Process(command, folder / f"{name}.log", environment)
            running.append(self.processes[name])
        self.urls = {name: "http://" + process.told(r'"message":"listening","address":"([^"]+)"') for name, process in self.processes.items()}

    def services(self):
        return self.urls

    def ask(self, service, method, path, body=None, as_whom=None, headers=None):
        """Makes a request; returns the status and the body, read to its end."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.urls[service]).netloc, timeout=60)
        headers = dict(headers or {})
        if as_whom:
            headers["authorization"] = f"Bearer {token(service, *as_whom)}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            connection.request(method, urllib.parse.quote(path, safe="/?=&%"), body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def must(self, service, *request, **more):
        status, body = self.ask(service, *request, **more)
        if status >= 300:
            raise SystemExit(f"{service}: {request[0]} {request[1]}: {status} {body[:500]}")
        return json.loads(body) if body.startswith(("{", "[")) else body

    def round(self, number):
        """What everybody does in a second or two; a little else each time."""
        self.posts(number)
        self.questions_in_slack(number)
        self.questions_to_the_coach(number)
        self.registrations(number)
        self.searches(number)
        self.orders(number)
        self.todos(number)
        self.resumes(number)
        self.club(number)
        self.weather(number)

    def weather(self, number):
        member, forecaster = (f"이웃 {number}", "member"), ("예보관", "forecaster")
        must = lambda *request, **more: self.must("weather_community", *request, **more)
        place = {"lat": 37.5665, "lon": 126.978}
        post = must("POST", "/posts", {"sky": "rain", "text": f"{number}일째 비", **place}, as_whom=member)["id"]
        must("PUT", f"/posts/{post}/reaction", {"reaction": "like"}, as_whom=member)
        for _ in range(2):
            must("POST", f"/posts/{post}/views", as_whom=member)
        warning = must("POST", "/warnings", {"region": "seoul", "kind": "heavy_rain", "text": "비"}, as_whom=forecaster)["id"]
        must("POST", f"/warnings/{warning}/messages", {"id": f"m{number}", "text": "물이 차요"}, as_whom=member)
        drop = must("POST", "/drops", {"title": "우산", "places": 1}, as_whom=forecaster)["id"]
        must("POST", f"/drops/{drop}/coupon", as_whom=member)
        self.ask("weather_community", "POST", f"/drops/{drop}/coupon", as_whom=("지각", "member"))

    def posts(self, number):
        for text in (GOOD, GOOD, HALF, USELESS, REFUSED):
            post = {"kind": "story", "body": f"{number}일째 이야기입니다. {text}."}
            self.must("every_task", "POST", "/posts", post, as_whom=("민수", "member"))

    def questions_in_slack(self, number):
        for event, text in ((f"Ev{number}a", "회비는 얼마인가요?"), (f"Ev{number}b", f"{number}번 코스는 어디인가요?")):
            asked = {"type": "app_mention", "channel": "C1", "user": "U2", "ts": f"1767225600.{number:06}", "text": text}
            body = {"type": "event_callback", "event_id": event, "team_id": "T1", "event": asked}
            body, at = json.dumps(body, ensure_ascii=False).encode(), str(int(time.time()))
            mac = hmac.digest(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hex()
            headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={mac}"}
            self.must("slack_bot", "POST", "/slack/events", body, headers=headers)

    def questions_to_the_coach(self, number):
        questions = [f"계단을 {number + 2}번 내려가면 무릎 앞쪽이 아픈데 뛰어도 될까요?", f"김치찌개 {number}인분은 어떻게 끓이나요?", "?!"]
        for question in questions:
            self.must("running_coach", "POST", "/answers", {"question": question}, as_whom=("민수", "runner"))

    def registrations(self, number):
        organiser = ("하나", "organiser")
        for kind in ("first_come", "lottery"):
            new = {"name": f"대회 {number}", "kind": kind, "places": 3, "price_krw": 35_000}
            race = self.must("race_registration", "POST", "/races", new, as_whom=organiser)["id"]
            runners = [(f"{name} {number}", "runner") for name in ("민수", "Jane", "지우", "서연")]
            for at, runner in enumerate(runners):
                self.answers(race, runner, at)
            if kind == "lottery":
                self.must("race_registration", "POST", f"/races/{race}/draw", as_whom=organiser)
            for runner in runners[:2]:
                self.pay(race, runner)
            self.must("race_registration", "DELETE", f"/races/{race}/registration", as_whom=runners[2])

    def answers(self, race, runner, leaves_out):
        given = [
            ("agree_terms", {"agreed": True}),
            ("choose_souvenir", {"souvenir": "티셔츠 M"}),
            ("shipping_address", {"city": "서울"}),
        ]
        # the last runner goes away after the first screen
        for answer, value in given[: 1 if leaves_out == 3 else 3]:
            said = {"answer": answer, "value": value}
            self.must("race_registration", "POST", f"/races/{race}/registration", said, as_whom=runner)

    def pay(self, race, runner):
        for _ in range(600):
            registration = self.must("race_registration", "GET", f"/races/{race}/registration", as_whom=runner)
            if registration.get("payment"):
                self.must("race_registration", "POST", f"/payments/{registration['payment']['id']}/pay", as_whom=runner)
                return
            time.sleep(0.05)
        raise SystemExit(f"race_registration: no payment is asked for: {registration}")

    def club(self, number):
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7200))
        for at, name in enumerate(("민지", "Alex", "지훈", "Sora")):
            run = {"began_at": began, "distance_m": 5000 * (at + 1), "time_s": 1600 * (at + 1)}
            self.must("running_club", "POST", "/runs", run, as_whom=(f"{name} {number}", "runner"))
        self.must("running_club", "POST", "/recaps", {"span": "week"}, as_whom=("hana", "organiser"))

    def searches(self, number):
        # Whole for some rounds, then refused, whole again, then silent: an engine that comes and goes is spared for a while after it came back.
        line = {5: "refused", 11: "silent"}.get(number % 12, "whole")
        self.must("dev_search", "PUT", "/engines/primary", {"line": line}, as_whom=("hana", "operator"))
        for at in range(25):
            words = ("검색 엔진", "데이터베이스", "circuit breaker", "interview", "")[at % 5]
            self.must("dev_search", "GET", f"/search?q={urllib.parse.quote(words)}")
        time.sleep(0.3)

    def orders(self, number):
        # What is written is told to the engines by an event.
        entry = {"kind": "post", "category": "search", "lang": "ko", "title": f"글 {number}", "body": "역색인과 초성 검색"}
        self.must("dev_search", "POST", "/entries", entry, as_whom=("민수", "member"))
        # The partner is moody: some are confirmed, some undone.
        for at in range(4):
            self.must("dev_search", "POST", "/entries/l06/order", {}, as_whom=(f"{number} {at}", "member"))

    def todos(self, number):
        write = lambda text, **headers: self.ask(
            "dev_search", "PUT", "/todos/a", {"text": text}, as_whom=(f"민수 {number}", "member"), headers=headers
        )
        statuses = [write("하나", **{"if-none-match": "*"})[0], *(write(text, **{"if-match": '"1"'})[0] for text in ("둘", "셋"))]
        if statuses != [201, 200, 412]:
            raise SystemExit(f"dev_search: a todo that is written thrice over its first version: {statuses}")

    def resumes(self, number):
        owner = (f"하늘 {number}", "member")
        must = lambda *request, as_whom=owner, **more: self.must("resume_writer", *request, as_whom=as_whom, **more)
        resume = must("POST", "/resumes", {"account": "haneul-example", "language": "ko"})["id"]
        self.written(owner, f"/resumes/{resume}", "ready")
        edit = must("POST", f"/resumes/{resume}/edits", {"instruction": INSTRUCTION, "version": 1})["id"]
        self.written(owner, f"/resumes/{resume}/edits/{edit}", "proposed")
        must("POST", f"/resumes/{resume}/edits/{edit}/accept")
        headers = {"share-key": must("POST", f"/resumes/{resume}/share")["key"]}
        for reader in (("민지", "member"), ("Alex", "member")):
            must("PUT", "/shared/like", {"like": True}, as_whom=reader, headers=headers)
            must("POST", "/shared/comments", {"text": "잘 봤습니다"}, as_whom=reader, headers=headers)

    def written(self, owner, path, state):
        for _ in range(600):
            answer = self.must("resume_writer", "GET", path, as_whom=owner)
            if answer["state"] == state:
                return
            time.sleep(0.05)
        raise SystemExit(f"resume_writer: {path} is not {state}: {answer}")
