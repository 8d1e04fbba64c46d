"""Prints the first value of a key, at any depth of a JSON document: json_field.py KEY FILE."""

import json
import sys


def find(document, key):
    if isinstance(document, dict):
        if key in document and not isinstance(document[key], (dict, list)):
            return document[key]
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            value = find(each, key)
            if value is not None:
                return value
    return None


with open(sys.argv[2]) as source:
    value = find(json.load(source), sys.argv[1])
if value is None:
    sys.exit("no %s in %s" % (sys.argv[1], sys.argv[2]))
print(value)
