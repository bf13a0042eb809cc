"""What the fuzzer does beside fuzzing: it keeps from sawing off the branch that it sits on, and counts how far it got."""

import atexit
import itertools
import json
import os
from collections import Counter, defaultdict

import schemathesis
from fuzz_scene import Scene, is_of_operators

OWN = os.environ["ADMIN"].split(":")[0]
ANOTHER = os.environ["FUZZ_ANOTHER_CLIENT"]
COUNTS = os.environ["FUZZ_COUNTS"]
# The tenants of the two tokens: whoever ends one of them, or takes its issuer or its quotas away, ends the run.
OWN_TENANTS = {os.environ["TENANT"], os.environ["PLATFORM"].rsplit("/", 1)[-1]}
ANOTHER_TENANT = os.environ["FUZZ_ANOTHER_TENANT"]
SCENE = Scene(
    os.environ["API"],
    os.environ["TENANT"],
    os.environ["FUZZ_ADMIN_TOKEN"],
    os.environ["FUZZ_OPERATOR_TOKEN"],
    "example",
)

# What is valid or not by the state of things at that moment, and not by its shape.
OF_STATE = {
    "confirmation-mismatch",
    "idempotency-key-reused",
    "invalid-cursor",
    "position-expired",
    "precondition-failed",
}
# Rules that a schema would tell badly: what is invisible, where spaces stand, what a mail address is; and that a whole
# number is written as one, while to JSON Schema 60.0 is an integer.
OF_WRITING = (
    "invalid type: floating point",
    "control character",
    "invisible",
    "white space",
    "must not be empty",
    "must be a mail address",
    # How many there may be in all, and what is taken by the product itself.
    "one too many",
    "is the management API",
    "is the name of a role that every tenant has",
    "what every installation has",
    # Of a URL the pattern tells where it begins and what is not in it; the rest is for a parser of URLs.
    "must be an absolute URL",
    "must begin with `https://`",
    "in its normal spelling",
    "the issuer is not a URL",
    "the issuer ends with a slash",
    "the issuer is longer",
    "must have a letter or a digit",
)
# What one field may be by what another one is.
OF_EACH_OTHER = (
    "can't be given together with",
    "must be `jwt` where `verification` is `signature`",
    "is held over the root organization alone",
    "missing field `email`",
    # Type, profile, grants and what hangs on them; `GET /v1/client-profiles` tells most of it.
    "is missing; give it, or a `profile` that prefills it",
    "with the profile `",
    "can't have `client_credentials`: the client is public",
    "can't have `refresh_token` without",
    "must have at least one URI",
    "has no grant that leads back to a URI",
    "has no place for a redirect URI of the client",
    "and only PKCE protects its codes",
    "can only be set with the grant `refresh_token`",
    "is for disabling alone",
    "where `window` is `minute`",
)
# What is valid by who somebody is and what is there, which only the tenant's own things tell: what is at fault is an id
# that looks like one.
OF_THINGS = (
    "is built in",
    "is for operators alone",
    "is held in the tenant of the operators alone",
    "is no client of this tenant",
    "is no organization in which you may make members",
    "is no organization over which you may give roles",
    "is no organization in which you may have clients",
    "is no role of this tenant",
    "is no active member who",
    "is for members alone",
    "the client does not act for itself",
    "`POST …/change-type` alone",
    "`POST …/transfer` alone",
    "must lie in the future",
    "must lie within the next ten years",
    "is disabled; enable the member first",
    "is the root organization",
    "which is what the operators allow",
    "lies too deep",
    "must be an active member who lives in the root organization",
    "must be an organization over which you hold",
    "must be an organization that is not moved along",
)

keys = itertools.count(1)
statuses = defaultdict(Counter)
# What dry runs said they would have made: there is no such thing afterwards.
never_made = set()

# Positions are sealed and scopes registered, both unknown to the document. Of an If-Match Schemathesis' phase `coverage`
# sends the text without the quotation marks that the pattern demands. How a client authenticates hangs on its type. How
# good a password must be is the tenant's to set, and whether a secret may be chosen; how good that must be is beyond a
# pattern. Redirect URIs and ranges of addresses are for their parsers.
OF_PLACES = {"after", "If-Match", "/token_endpoint_auth_method", "/password", "/value"}
OF_LISTS = (
    "/allowed_scopes/",
    "/introspector_client_ids/",
    "/redirect_uris/",
    "/post_logout_redirect_uris/",
    "/allowed_ips/",
)


def is_excused(fault):
    """Whether the document need not tell of this, though it is what the document allows."""
    place = fault.get("parameter") or fault.get("pointer", "")
    if place in OF_PLACES or place.startswith(OF_LISTS):
        return True
    return any(rule in fault["detail"] for rule in (*OF_WRITING, *OF_EACH_OTHER, *OF_THINGS))


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Keeps what the document should have told otherwise."""
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        problem = response.json()
        faults = problem.get("errors", [])
        is_told = faults and all(map(is_excused, faults))
        return not (is_told or problem["code"] in OF_STATE)
    if kind == "AcceptedNegativeData" and response.status_code == 412:
        # It was refused, for a state that is named by a header: what a patch comes to is told after that.
        return False
    if kind == "AcceptedNegativeData" and case.operation.definition.raw["operationId"] in {"bulk", "bulkClients"}:
        # Each item is refused by itself, in an answer that is good.
        return response.json()["failed"] == 0
    if kind == "EnsureResourceAvailability":
        return never_made.isdisjoint((case.path_parameters or {}).values())
    return True


@schemathesis.hook
def before_add_examples(context, examples):
    """Begins with a request that must go well, so that chance decides what else is tried and not whether that is.

    It has the document's own example, with ids of things that are there; with those of the document all would be 404.
    """
    operation = context.operation
    declared, schemas = operation.definition.raw, operation.schema.raw_schema["components"]["schemas"]
    in_path, query, body, media_type = SCENE.good_request(
        declared["operationId"], operation.path, declared, schemas
    )
    given = {} if body is None else {"body": body, "media_type": media_type}
    examples[:] = [operation.Case(path_parameters=in_path, query=query, **given)]


def renew_key(case):
    """The document's one example of a key would come with every request, and be refused with all but the first."""
    if case.meta is not None and case.meta.generation.mode.is_negative:
        # A header that is wrong or left out stays so: Schemathesis judges a case anew whose headers are changed here,
        # and sends the token with one that was to go without it.
        if getattr(case.meta.phase.data.parameter_location, "value", "header") == "header":
            return
    parameters = case.operation.definition.raw.get("parameters", [])
    examples = {parameter["schema"].get("example") for parameter in parameters if parameter["in"] == "header"}
    key = (case.headers or {}).get("Idempotency-Key")
    if key is not None and key in examples:
        case.headers["Idempotency-Key"] = f"{next(keys):032}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """What would be done to the client whose token is used here, or to its tenant, is done to another one."""
    for name, value in (case.path_parameters or {}).items():
        if value == OWN:
            case.path_parameters[name] = ANOTHER
        if value in OWN_TENANTS and is_of_operators(case.operation.path) and case.method.upper() != "GET":
            case.path_parameters[name] = ANOTHER_TENANT
    renew_key(case)
    if isinstance(case.body, (dict, list)):
        text = json.dumps(case.body)
        if OWN in text:
            case.body = json.loads(text.replace(OWN, ANOTHER))


@schemathesis.hook
def after_call(context, case, response):
    declared = case.operation.definition.raw
    # Methods that are not offered are tried out as well.
    if case.method.upper() != case.operation.method.upper():
        return
    statuses[declared["operationId"]][response.status_code] += 1
    if response.status_code == 201 and "dry_run=true" in response.request.url:
        never_made.add(response.json().get("id"))
    if declared["operationId"] == "bulk" and response.status_code == 200:
        items = case.body.get("items", []) if isinstance(case.body, dict) else []
        for item, result in zip(items, response.json()["results"]):
            if isinstance(item, dict):
                statuses[f"bulk: {item.get('operation')}"][result["status"]] += 1


@atexit.register
def write_counts():
    with open(COUNTS, "w", encoding="utf-8") as file:
        json.dump(statuses, file)
