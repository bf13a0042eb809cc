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

from fuzz_scene import REDIRECTS, SCOPES, Scene, later

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "openapi" / "management.json"
API = os.environ["API"]
TENANT = os.environ["TENANT"]


def token(issuer, credentials, scopes):
    """An access token by client credentials."""
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": " ".join(scopes)})
    basic = base64.b64encode(credentials.encode()).decode()
    request = urllib.request.Request(
        f"{issuer}/token", data=form.encode(), headers={"Authorization": f"Basic {basic}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["access_token"]


def administrator():
    """A token with every scope that the client itself names, those of coming versions too."""
    issuer, admin = os.environ["ISSUER"], os.environ["ADMIN"]
    looking = Scene(API, TENANT, token(issuer, admin, ["grantor:clients.read"]), None, "looking")
    client = looking.get(f"clients/{admin.split(':')[0]}")
    return token(issuer, admin, client["allowed_scopes"])


def operator(scene):
    """A token with every permission of operators."""
    catalogue = scene.send(scene.administrator, "GET", "permissions")["items"]
    scopes = [permission["scope"] for permission in catalogue if permission["for_operators"]]
    return token(os.environ["PLATFORM"], os.environ["OPERATOR"], [*scopes, "grantor:resource_servers.read"])


def dictionaries(scene):
    """Ids and positions of what is there, by the name that fuzz.toml has for them."""

    def many(number, make):
        return [make() for _ in range(number)]

    clients = many(60, scene.client)
    members = many(60, scene.member)
    # Enough roles are held for some to be listed and taken away; and the same of secrets.
    assignments = [scene.role_assignment(member) for member in members[:20]]
    assignments += [scene.service_role(client) for client in clients[:20]]
    secrets = [scene.secret(client) for client in clients[:20]]
    # Some are of people, and can become public.
    clients += many(20, scene.web_client)
    events = [event["id"] for event in scene.get("audit-events?limit=20")["items"]]
    feed = scene.get("changes?limit=20")
    positions = ["now", feed["position"], *(item["position"] for item in feed["items"])]
    catalogue = scene.send(scene.administrator, "GET", "permissions")["items"]
    return {
        "tenants": [TENANT],
        # What operators suspend, change and delete: never the tenant that the fuzzer works in.
        "other-tenants": many(30, scene.other_tenant),
        "clients": clients,
        "members": members,
        # Apart from the members, who may be disabled, moved and deleted.
        "owners": many(10, scene.owner),
        "role-assignments": assignments,
        "secrets": secrets,
        "redirects": REDIRECTS,
        "times": [later()],
        "roles": many(30, scene.role),
        "organizations": many(40, scene.organization),
        "events": events,
        "positions": positions,
        "servers": many(40, scene.server),
        "platform-wide-servers": many(30, scene.platform_wide_server),
        "scope-names": [*SCOPES, "not-there-yet"],
        "permissions": [permission["name"] for permission in catalogue if not permission["for_operators"]],
        # Each is one thing's alone: enough that some are free.
        "identifiers": [f"https://free-{number}.example" for number in range(1000)],
        "emails": [f"free-{number}@demo.example" for number in range(1000)],
    }


# What takes a token of a member: until members sign in, there is none here. The acceptance tests put some on record.
OF_MEMBERS = {"listMyTokens", "removeMyToken", "removeMyTokens", "removeAllMyTokens", "removeMemberToken"}


def untouched(counts):
    """The operations that never went well: what they do then was not compared with the document."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    named = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    wanted = [name for name in named if name not in OF_MEMBERS]
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
    scene = Scene(API, TENANT, administrator(), None, "prepared")
    scene.operator = operator(scene)
    spare, spare_tenant = scene.client(), scene.other_tenant()
    checker_id, checker_secret = os.environ["CHECKER"].split(":")
    seed = os.environ.get("FUZZ_SEED") or str(random.SystemRandom().randrange(2**32))
    seconds = int(os.environ.get("FUZZ_SECONDS") or 150)
    print(f"FUZZ_SEED={seed} FUZZ_SECONDS={seconds}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for name, values in dictionaries(scene).items():
            lines = "".join(f"{json.dumps(value)}\n" for value in values)
            Path(folder, name).write_text(lines, encoding="utf-8")
        counted = Path(folder, "counts.json")
        environment = {
            **os.environ,
            "FUZZ_ADMIN_TOKEN": scene.administrator,
            "FUZZ_OPERATOR_TOKEN": scene.operator,
            "FUZZ_ANOTHER_CLIENT": spare,
            "FUZZ_ANOTHER_TENANT": spare_tenant,
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
