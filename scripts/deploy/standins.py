"""What stands in for a model's server, for Slack and for who brings notices: they are elsewhere, and the first costs money.

The model speaks the protocol of OpenAI, whole and streamed, with usage. It answers differently by what it is asked, so that good
answers, answers that need a re-ask, and errors are all there.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GOOD = "매일 아침 30분씩 달렸습니다"
HALF = "주말마다 수영을 했습니다"
USELESS = "아무것도 하지 않은 날이었습니다"
REFUSED = "모델이 받지 않는 글입니다"
# What the example has committed in place of a model's answers, with what these get wrong.
RESUMES = Path(__file__).resolve().parents[2] / "examples" / "resume_writer" / "answers.jsonl"
INSTRUCTION = "Make it more impressive"


def tasks(items):
    rest = {"detail": None, "due": None, "duration_minutes": None, "frequency": None, "prerequisites": [], "difficulty": None}
    return json.dumps({"items": [{**rest, **item} for item in items]}, ensure_ascii=False)


def resume(is_edit):
    known = map(json.loads, RESUMES.read_text(encoding="utf-8").splitlines())
    fits = lambda one: one.get("instruction") == INSTRUCTION if is_edit else one.get("language") == "ko"
    return next(one["answer"] for one in known if fits(one))


def answer_to(asked):
    if "GitHub account" in asked:
        return resume("The owner's instruction" in asked)
    if "<passage key" in asked:
        return "불편하시겠어요. 통증이 있으면 사흘은 쉬세요 [1]. 소염제를 미리 드세요 [1]."
    if GOOD in asked:
        return tasks([{"title": "달리기", "quote": GOOD}])
    if HALF in asked:
        # a quote that stands nowhere, for which it is asked again
        return tasks([{"title": "수영하기", "quote": HALF}, {"title": "등산하기", "quote": "산에 올랐습니다"}])
    if USELESS in asked:
        return "그런 글에서는 할 일을 찾을 수 없습니다."
    return "네, 그렇게 하시면 됩니다."


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, status, value):
        self.reply(status, "application/json", json.dumps(value, ensure_ascii=False).encode())

    def do_GET(self):
        self.json(200, {"ok": True, "messages": [], "has_more": False})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if self.path.endswith("/chat/completions"):
            self.complete(body)
        else:  # Slack's chat.postMessage, or a notice
            self.json(200, {"ok": True, "channel": body.get("channel"), "ts": "1767225700.000001"})

    def complete(self, body):
        asked = json.dumps(body["messages"], ensure_ascii=False)
        if REFUSED in asked:
            self.json(400, {"error": {"message": "no", "type": "invalid_request_error", "code": None}})
            return
        text = answer_to(asked)
        usage = {"prompt_tokens": 500, "completion_tokens": 50, "total_tokens": 550}
        head = {"id": "c1", "object": "chat.completion", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            self.json(200, {**head, "choices": [choice], "usage": usage})
            return
        head["object"] = "chat.completion.chunk"
        pieces = [text[at : at + 8] for at in range(0, len(text), 8)]
        chunks = [{**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({**head, "choices": [], "usage": usage})
        lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
        self.reply(200, "text/event-stream", ("".join(lines) + "data: [DONE]\n\n").encode())


class StandIns:
    """Listens until it is stopped."""

    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def check(self):
        pass

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
