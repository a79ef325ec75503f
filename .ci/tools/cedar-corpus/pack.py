"""Writes Cedar's integration tests (a tar.gz) as one case in a line, with the files that it names."""

import json
import sys
import tarfile


def main(archive, lines):
    with tarfile.open(archive) as tar:
        texts = {
            entry.name.removeprefix("./"): tar.extractfile(entry).read().decode()
            for entry in tar
            if entry.isfile()
        }
    with open(lines, "w", encoding="utf-8") as out:
        for name in sorted(texts):
            if not name.endswith(".json") or name.endswith(".entities.json"):
                continue
            case = json.loads(texts[name])
            # Most of a case's requests repeat one another but for what they are called.
            requests = {}
            for request in case["requests"]:
                request.pop("description", None)
                requests.setdefault(json.dumps(request, sort_keys=True), request)
            packed = {
                "name": name,
                "policies": texts[case["policies"]],
                "entities": json.loads(texts[case["entities"]]),
                "requests": list(requests.values()),
            }
            json.dump(packed, out, separators=(",", ":"))
            out.write("\n")


main(*sys.argv[1:])
