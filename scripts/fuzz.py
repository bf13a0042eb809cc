"""Prepares a fresh `grantor dev` for the fuzzer, runs it, and tells how far it got. To be called by scripts/fuzz."""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "openapi" / "management.json"
API = os.environ["API"]
TENANT = os.environ["TENANT"]
# What each resource server has at the beginning.
SCOPES = ["read", "write", "refund", "export", "archive", "approve", "cancel", "share"]


def token(issuer, credentials, scopes):
    """An access token by client credentials."""
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": " ".join(scopes)})
    basic = base64.b64encode(credentials.encode()).decode()
    request = urllib.request.Request(
        f"{issuer}/token", data=form.encode(), headers={"Authorization": f"Basic {basic}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["access_token"]


def call(bearer, path, body=None):
    """A call of the management API that must go well."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{API}/v1/tenants/{TENANT}/{path}", data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def administrator():
    """A token with every scope that the client itself names, those of coming versions too."""
    issuer, admin = os.environ["ISSUER"], os.environ["ADMIN"]
    looking = token(issuer, admin, ["grantor:clients.read"])
    client = call(looking, f"clients/{admin.split(':')[0]}")
    return token(issuer, admin, client["allowed_scopes"])


def dictionaries(bearer):
    """Ids and positions of what is there, by the name that fuzz.toml has for them."""
    subject = {"name": "Nightly export", "owner_contact": {"email": "subject@demo.example"}}
    clients = [call(bearer, "clients", subject)["id"] for _ in range(60)]
    events = [event["id"] for event in call(bearer, "audit-events?limit=20")["items"]]
    feed = call(bearer, "changes?limit=20")
    positions = ["now", feed["position"], *(item["position"] for item in feed["items"])]
    servers = [call(bearer, "resource-servers", server(number))["id"] for number in range(40)]
    return {
        "tenants": [TENANT],
        "clients": clients,
        "events": events,
        "positions": positions,
        "servers": servers,
        "scope-names": [*SCOPES, "not-there-yet"],
        # Each is one server's alone: enough that some are free.
        "identifiers": [f"https://free-{number}.example" for number in range(1000)],
    }


def server(number):
    """A resource server to be made."""
    return {
        "key": f"fuzzed.{number}",
        "identifier": f"https://fuzzed-{number}.example",
        "name": "Nightly export",
        "scopes": [{"name": name} for name in SCOPES],
    }


def untouched(counts):
    """The operations that never went well: what they do then was not compared with the document."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    wanted = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    return [name for name in wanted if not any(status.startswith("2") for status in counts.get(name, {}))]


def run(name, document, seed, seconds, folder, environment):
    """Runs Schemathesis by the configuration of this name. Tells its exit status."""
    # Beside the files that it names.
    configuration = shutil.copy(HERE / name, folder)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", configuration),
        *("run", str(document), "--seed", seed, "--max-time", str(seconds)),
        *sys.argv[1:],
    ]
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode


def main():
    bearer = administrator()
    operators = token(
        os.environ["PLATFORM"], os.environ["OPERATOR"], ["grantor:tenants.create", "grantor:tenants.read"]
    )
    spare = call(bearer, "clients", {"name": "Spare", "owner_contact": {"email": "spare@demo.example"}})
    checker_id, checker_secret = os.environ["CHECKER"].split(":")
    seed = os.environ.get("FUZZ_SEED") or str(random.SystemRandom().randrange(2**32))
    seconds = int(os.environ.get("FUZZ_SECONDS") or 150)
    print(f"FUZZ_SEED={seed} FUZZ_SECONDS={seconds}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for name, values in dictionaries(bearer).items():
            lines = "".join(f"{json.dumps(value)}\n" for value in values)
            Path(folder, name).write_text(lines, encoding="utf-8")
        counted = Path(folder, "counts.json")
        environment = {
            **os.environ,
            "FUZZ_ADMIN_TOKEN": bearer,
            "FUZZ_OPERATOR_TOKEN": operators,
            "FUZZ_ANOTHER_CLIENT": spare["id"],
            "FUZZ_ISSUER_BASE": os.environ["ISSUER"].removesuffix(f"/t/{TENANT}"),
            "FUZZ_CHECKER_ID": checker_id,
            "FUZZ_CHECKER_SECRET": checker_secret,
        }
        hooks = {"FUZZ_COUNTS": str(counted), "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "fuzz_hooks"}
        # The token service first: its client may be gone after the other.
        tokens = HERE.parent / "openapi" / "token.json"
        short = max(seconds // 6, 1)
        of_tokens = run("fuzz-token.toml", tokens, seed, short, folder, environment)
        rest = max(seconds - short, 1)
        of_management = run("fuzz.toml", DOCUMENT, seed, rest, folder, {**environment, **hooks})
        counts = json.loads(counted.read_text(encoding="utf-8"))

    print("\nAnswers of the management API by status:")
    for name, statuses in counts.items():
        told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        print(f"  {name:36} {told}")
    missed = untouched(counts)
    if missed:
        print(f"None of these went well even once: {', '.join(missed)}")
    return 1 if missed else of_tokens or of_management


if __name__ == "__main__":
    sys.exit(main())
