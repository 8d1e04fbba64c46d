"""A small HTTP client for the Apache checks; it talks to 127.0.0.1 only.

    client.py get PORT PATH [HEADER:VALUE…]     prints the status, the checked headers and the body's SHA-256
    client.py body PORT PATH                    prints the body; exit status 1 unless the status is 200
    client.py load PORT PATH COUNT PARALLEL [PATIENCE]
                                                prints: answers of status 200, other answers, failures,
                                                different bodies, the longest wait in seconds (rounded up)
"""

import concurrent.futures
import hashlib
import http.client
import math
import sys
import time


def request(port, path, headers=None, patience=60):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=patience)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def load(port, path, count, parallel, patience="60"):
    def one(_):
        start = time.monotonic()
        try:
            status, _, body = request(port, path, patience=float(patience))
        except (OSError, http.client.HTTPException):
            status, body = 0, b""
        return status, body, time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(int(parallel)) as pool:
        answers = list(pool.map(one, range(int(count))))
    good = [body for status, body, _ in answers if status == 200]
    lost = sum(1 for status, _, _ in answers if status == 0)
    print(len(good), len(answers) - len(good) - lost, lost, len(set(good)), math.ceil(max(wait for _, _, wait in answers)))


def main():
    command, port, path = sys.argv[1:4]
    if command == "load":
        load(port, path, *sys.argv[4:])
        return 0
    status, headers, body = request(port, path, dict(each.split(":", 1) for each in sys.argv[4:]))
    if command == "body":
        sys.stdout.write(body.decode(errors="replace"))
        return 0 if status == 200 else 1
    print(status, headers.get("Content-Range", "-"), len(body), hashlib.sha256(body).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
