"""What the fuzzer does beside fuzzing: it keeps from sawing off the branch that it sits on, and counts how far it got."""

import atexit
import json
import os
from collections import Counter, defaultdict

import schemathesis

OWN = os.environ["ADMIN"].split(":")[0]
ANOTHER = os.environ["FUZZ_ANOTHER_CLIENT"]
COUNTS = os.environ["FUZZ_COUNTS"]

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
)

statuses = defaultdict(Counter)


# Positions are sealed and scopes registered, both unknown to the document. Clients without a secret are not offered yet.
# And of an If-Match Schemathesis' phase `coverage` sends the text without the quotation marks that the pattern demands.
OF_PLACES = {"after", "If-Match", "/token_endpoint_auth_method"}


def is_excused(fault):
    """Whether the document need not tell of this, though it is what the document allows."""
    place = fault.get("parameter") or fault.get("pointer", "")
    if place in OF_PLACES or place.startswith(("/allowed_scopes/", "/introspector_client_ids/")):
        return True
    return any(rule in fault["detail"] for rule in OF_WRITING)


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
    if kind == "AcceptedNegativeData" and case.operation.definition.raw["operationId"] == "bulk":
        # Each item is refused by itself, in an answer that is good.
        return response.json()["failed"] == 0
    return True


@schemathesis.hook
def before_call(context, case, kwargs):
    """What would be done to the client whose token is used here is done to another one."""
    for name, value in (case.path_parameters or {}).items():
        if value == OWN:
            case.path_parameters[name] = ANOTHER
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
    if declared["operationId"] == "bulk" and response.status_code == 200:
        items = case.body.get("items", []) if isinstance(case.body, dict) else []
        for item, result in zip(items, response.json()["results"]):
            if isinstance(item, dict):
                statuses[f"bulk: {item.get('operation')}"][result["status"]] += 1


@atexit.register
def write_counts():
    with open(COUNTS, "w", encoding="utf-8") as file:
        json.dump(statuses, file)
