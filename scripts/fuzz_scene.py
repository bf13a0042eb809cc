"""Things of every kind, made by the API itself, and with them one request for each operation that must go well.

What chance sends mostly ends at a name that is taken or an id that is gone. So that each operation is seen to go well
however the dice fall, the examples of scripts/fuzz begin with these.
"""

import base64
import itertools
import json
from datetime import datetime, timedelta, timezone
import urllib.error
import urllib.parse
import urllib.request

# What has a name has this one, for the parameters that want it typed.
NAME = "Nightly export"
# What each resource server has at the beginning.
SCOPES = ["read", "write", "refund", "export", "archive", "approve", "cancel", "share"]
# Operations of the same shape as one of a tenant's own, on what all tenants share.
PLATFORM_WIDE = "/v1/resource-servers"
# Where a browser goes back to.
REDIRECTS = ["https://app.example/callback", "https://app.example:8443/back?from=us", "http://localhost:3000/callback"]
CONTACT = {"email": "subject@demo.example"}
# What a client is issued a token for.
SCOPE = "grantor:clients.read"
# Where the document has an id of a thing in an example.
EXAMPLES = {
    "cli_01kb2q3r4s5t6v7w8x9y0z1a2b": "client",
    "org_01kb2q3r4s5t6v7w8x9y0z1a2b": "organization",
    "org_01kb2q3r4s5t6v7w8x9y0z1a2c": "organization",
    "mem_01kb2q3r4s5t6v7w8x9y0z1a2b": "member",
}
TOKEN = "tok_01kb2q3r4s5t6v7w8x9y0z1a2b"


class Scene:
    """A tenant, and the tokens of its administrator and of an operator."""

    def __init__(self, api, tenant, administrator, operator, mark):
        """The mark is in everything of which there may be one alone: two scenes of one tenant need two."""
        self.api, self.tenant, self.mark = api, tenant, mark
        self.administrator, self.operator = administrator, operator
        self.numbers = itertools.count(1)
        # The newest token of a client that was made for it.
        self.token = None

    def unique(self):
        """A text that no other thing has."""
        return f"{self.mark}-{next(self.numbers)}"

    def send(self, bearer, method, path, body=None):
        """A call of the management API that must go well."""
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.api}/v1/{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def get(self, path):
        return self.send(self.administrator, "GET", f"tenants/{self.tenant}/{path}")

    def post(self, path, body=None):
        return self.send(self.administrator, "POST", f"tenants/{self.tenant}/{path}", body)

    def client(self):
        return self.post("clients", {"name": NAME, "profile": "service", "owner_contact": CONTACT})["id"]

    def client_with_token(self):
        """A client, and the id of a token that it was issued."""
        settings = {"name": NAME, "profile": "service", "owner_contact": CONTACT, "allowed_scopes": [SCOPE]}
        made = self.post("clients", settings)
        endpoint = self.get(f"clients/{made['id']}/endpoints")["token_endpoint"]
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": SCOPE})
        basic = base64.b64encode(f"{made['id']}:{made['secret']['value']}".encode()).decode()
        request = urllib.request.Request(endpoint, data=form.encode(), headers={"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request):
            return made["id"], self.get(f"clients/{made['id']}/tokens")["items"][0]["id"]

    def web_client(self):
        """One that can be public as well."""
        settings = {"name": NAME, "profile": "web", "redirect_uris": REDIRECTS[:1], "owner_contact": CONTACT}
        return self.post("clients", settings)["id"]

    def secret(self, client):
        return self.post(f"clients/{client}/secrets")["secret"]["id"]

    def service_role(self, client, role="support"):
        return self.post(f"clients/{client}/service-roles", {"role": role})["id"]

    def enabled_in(self, client):
        """An organization in which a client acts."""
        organization = self.organization()
        self.post(f"clients/{client}/enablements", {"organization_id": organization})
        return organization

    def member(self):
        return self.post("members", {"name": NAME, "email": f"{self.unique()}@demo.example"})["id"]

    def role_assignment(self, member, role="support"):
        return self.post(f"members/{member}/role-assignments", {"role": role})["id"]

    def owner(self):
        """A member to whom the root ownership can be handed over."""
        member = self.member()
        self.role_assignment(member, "owner")
        return member

    def organization(self):
        return self.post("organizations", {"name": NAME})["id"]

    def role(self):
        return self.post("roles", {"name": self.unique(), "permissions": ["clients.read"]})["id"]

    def event(self):
        return self.get("audit-events?limit=1")["items"][0]["id"]

    def other_tenant(self):
        """One that operators may suspend and delete."""
        owner = {"name": "An owner", "email": "owner@other.example"}
        return self.send(self.operator, "POST", "tenants", {"name": NAME, "owner": owner})["id"]

    def server(self):
        key = self.unique()
        return self.post("resource-servers", {"key": f"fuzzed.{key}", **self._server(key)})["id"]

    def platform_wide_server(self):
        key = f"wide-{self.unique()}"
        return self.send(self.operator, "POST", "resource-servers", {"key": key, **self._server(key)})["id"]

    @staticmethod
    def _server(key):
        return {
            "identifier": f"https://{key}.example",
            "name": NAME,
            "scopes": [{"name": name} for name in SCOPES],
        }

    def good_request(self, operation_id, path, declared, schemas):
        """Path parameters, query and body that must go well, with things that are there for this request alone."""
        in_path, in_query = {}, {}
        for parameter in declared.get("parameters", []):
            if parameter["in"] == "path":
                name = parameter["name"]
                in_path[name] = self._thing(name, operation_id, path, in_path)
            elif parameter.get("required"):
                in_query[parameter["name"]] = {"confirm_name": NAME}[parameter["name"]]
        self._prepare(operation_id, in_path)
        content = declared.get("requestBody", {}).get("content", {})
        body = media_type = None
        for media_type, described in content.items():
            body = self._body(operation_id, schemas[described["schema"]["$ref"].rsplit("/", 1)[-1]])
            break
        return in_path, in_query, body, media_type

    def _thing(self, name, operation_id, path, before):
        """What is to stand in a path."""
        if name == "tenant":
            return self.other_tenant() if is_of_operators(path) else self.tenant
        if name == "resource_server":
            return self.platform_wide_server() if path.startswith(PLATFORM_WIDE) else self.server()
        if name == "role_assignment":
            return self.service_role(before["client"]) if "client" in before else self.role_assignment(before["member"])
        if name == "secret":
            return self.secret(before["client"])
        if name == "organization" and "client" in before:
            return self.enabled_in(before["client"])
        if name == "client" and operation_id == "changeClientType":
            return self.web_client()
        if name == "client" and operation_id in ("removeClientToken", "removeClientTokens"):
            client, self.token = self.client_with_token()
            return client
        if name == "token":
            # Of a member there is none: nobody has signed in.
            return self.token or TOKEN
        if name == "scope":
            return self.unique() if operation_id.startswith("put") else SCOPES[0]
        makers = {
            "client": self.client,
            "member": self.member,
            "organization": self.organization,
            "role": self.role,
            "event": self.event,
        }
        return makers[name]()

    def _prepare(self, operation_id, in_path):
        """Brings about what an operation undoes."""
        if operation_id == "restoreTenant":
            reason = {"reason": "Invoices are open"}
            self.send(self.operator, "POST", f"tenants/{in_path['tenant']}/suspend", reason)
        elif operation_id == "enableClient":
            self.post(f"clients/{in_path['client']}/disable")
        elif operation_id == "enableMember":
            self.post(f"members/{in_path['member']}/disable")

    def _body(self, operation_id, schema):
        """The example of the document, with what must be there and what must be nobody else's."""
        if operation_id == "handOverRootOwnership":
            return {"member_id": self.owner()}
        if operation_id == "transferClient":
            return {"owner_id": self.owner()}
        # A merge patch has no example: a new name is one for whatever has it.
        renamed = {"password_min_length": 14} if operation_id == "updateSettings" else {"name": self.unique()}
        text = json.dumps(schema.get("example", renamed)).replace(TOKEN, self.token or TOKEN)
        for known, name in EXAMPLES.items():
            if known in text:
                text = text.replace(known, self._thing(name, operation_id, "", {}))
        body = json.loads(text)
        always = {"confirm_name": NAME, "expires_at": later()}
        body.update({field: value for field, value in always.items() if field in body})
        unique = {"key", "identifier", "email"} | ({"name"} if "Role" in operation_id else set())
        for field in unique & body.keys():
            body[field] = self._one_of_its_own(field, operation_id)
        return body

    def _one_of_its_own(self, field, operation_id):
        text = self.unique()
        if field == "key":
            return f"wide-{text}" if "Platform" in operation_id else f"fuzzed.{text}"
        return {"identifier": f"https://{text}.example", "email": f"{text}@demo.example"}.get(field, text)


def later():
    """A time that has not come yet."""
    return (datetime.now(timezone.utc) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_of_operators(path):
    """Whether the tenant in a path is one that operators do something to, and not the one that is worked in."""
    return path in (
        "/v1/tenants/{tenant}",
        "/v1/tenants/{tenant}/suspend",
        "/v1/tenants/{tenant}/restore",
        "/v1/tenants/{tenant}/quotas",
        "/v1/tenants/{tenant}/tokens/remove-all",
    )
