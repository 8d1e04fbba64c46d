"""What a program's objects do when it ends: endings.py KIND FILE. What they do is written to FILE or to standard output."""

import os
import sys
import weakref

KIND, FILE = sys.argv[1:]


def tell(text, write=os.write):
    write(1, text.encode() + b"\n")


class Told:
    def __del__(self, tell=tell):
        tell("__del__")


class Meta(type):
    def __del__(self, tell=tell):
        tell("metaclass")


def suspended(tell=tell):
    try:
        yield
    finally:
        tell("finally")


if KIND == "object":
    kept = Told()
elif KIND == "cycle":
    kept = Told()
    kept.itself = kept
elif KIND == "default":
    def function(argument=Told()):
        pass
elif KIND == "metaclass":
    kept = Meta("Class", (), {})
elif KIND == "generator":
    kept = suspended()
    next(kept)
elif KIND == "finalize":
    kept = type("Other", (), {})()
    weakref.finalize(kept, tell, "finalized")
elif KIND == "file":
    kept = open(FILE, "w")
    kept.write("written\n")
elif KIND == "file in a cycle":
    kept = open(FILE, "w")
    kept.write("written\n")
    kept.itself = kept
elif KIND == "binary file":
    kept = open(FILE, "wb")
    kept.write(b"written\n")
elif KIND == "database":
    import sqlite3
    kept = sqlite3.connect(FILE)
    kept.execute("create table t (a)")
    kept.execute("insert into t values (1)")
elif KIND == "atexit and a thread":
    import atexit
    import threading
    import time
    atexit.register(tell, "atexit")
    threading.Thread(target=lambda: (time.sleep(0.1), tell("thread"))).start()
    sys.exit(3)
elif KIND == "exception":
    kept = Told()
    raise SystemExit("a message")
elif KIND == "plain":
    print("nothing")
