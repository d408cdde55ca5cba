#!/usr/bin/env python3
"""Writes what kgbuild is made of as a CycloneDX 1.6 file: every crate that the program or its build
needs on this machine, with version, licence and hash, as Cargo.lock pins them, and the script of others
that its server sends. Takes the file's path; the same checkout gives the same bytes."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "Cargo.lock"
SCRIPTS = ROOT / "src" / "serve" / "static" / "README.md"


def cargo(*words):
    """What a cargo command prints."""
    return subprocess.run(["cargo", *words], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def needed(nodes, root):
    """The nodes that root needs, without what only tests and benches do."""
    found, waiting = set(), [root]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            for dependency in nodes[package]["deps"]:
                if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                    waiting.append(dependency["pkg"])
    return found


def component(package, hashes):
    """A crate as CycloneDX has it."""
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    described = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if package["license"]:
        # `/` is how `OR` was written once.
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if sha256 := hashes.get((name, version)):
        described["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return described


def script(name, version, licence, sha256):
    """A script that is pinned in the source, as CycloneDX has it."""
    purl = f"pkg:npm/{name}@{version}"
    described = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    hashes = [{"alg": "SHA-256", "content": sha256}]
    return described | {"licenses": [{"expression": licence}], "hashes": hashes}


def main(target):
    host = re.search(r"^host: (\S+)$", cargo("--version", "--verbose"), re.MULTILINE)[1]
    metadata = json.loads(cargo("metadata", "--locked", "--format-version=1", f"--filter-platform={host}"))
    pinned = r'name = "(.*)"\nversion = "(.*)"\nsource = .*\nchecksum = "(.*)"'
    hashes = {(name, version): sha256 for name, version, sha256 in re.findall(pinned, LOCK.read_text())}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    found = needed(nodes, root)
    components = {p["id"]: component(p, hashes) for p in metadata["packages"] if p["id"] in found}

    def refs(packages):
        return sorted({components[package]["bom-ref"] for package in packages})

    pinned = r"\| `(.*)\.min\.js` \| .* \| (.*) \| (.*) \| `(.*)` \|"
    scripts = [script(*found) for found in re.findall(pinned, SCRIPTS.read_text())]
    program = components[root] | {"type": "application"}
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program},
        "components": sorted(
            [*(c for p, c in components.items() if p != root), *scripts], key=lambda c: c["bom-ref"]
        ),
        "dependencies": sorted(
            (
                {
                    "ref": components[package]["bom-ref"],
                    "dependsOn": refs(d["pkg"] for d in nodes[package]["deps"] if d["pkg"] in found),
                }
                for package in found
            ),
            key=lambda d: d["ref"],
        ),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bom, indent=2) + "\n")
    print(f"{target}: {len(components)} crates, {len(scripts)} scripts")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/sbom.py FILE")
    main(pathlib.Path(sys.argv[1]))
