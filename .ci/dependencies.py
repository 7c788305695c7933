#!/usr/bin/env python3
"""Holds every crate of the workspace's dependency graph to deny.toml: its licence, its source, and the banned ones."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def allowed(expression, licences):
    """Whether an SPDX expression can be met with these licences. `/` is the old way to write OR; AND binds tighter."""
    words = re.findall(r"[()]|[\w.+-]+", expression.replace("/", " OR "))

    def alternatives():
        met = together()
        while words and words[0] == "OR":
            words.pop(0)
            met = together() or met
        return met

    def together():
        met = single()
        while words and words[0] == "AND":
            words.pop(0)
            met = single() and met
        return met

    def single():
        word = words.pop(0)
        if word == "(":
            met = alternatives()
            words.pop(0)
            return met
        if words[:1] == ["WITH"]:
            word += f" WITH {words[1]}"
            del words[:2]
        return word in licences

    return alternatives() and not words


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))
    licences = set(rules["licenses"]["allow"])
    banned = {ban["crate"] for ban in rules["bans"]["deny"]}
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    wrong = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if not allowed(package["license"] or "none", licences):
            wrong.append(f"{name}: the licence {package['license']} is not in deny.toml")
        if package["source"] not in (None, CRATES_IO):
            wrong.append(f"{name}: comes from {package['source']}")
        if package["name"] in banned:
            wrong.append(f"{name}: is banned by deny.toml")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(packages)} packages, {len(wrong)} not as deny.toml wants them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
