// What the API answers when something went wrong, told apart by its code.

import type { Schemas } from "./connection.js";

export type Problem = Schemas["Problem"];

/** What a person at a console would be told. */
export function inWords(problem: Problem): string {
  switch (problem.code) {
    case "invalid-field":
    case "confirmation-mismatch":
    case "conflict":
      return (problem.errors ?? [])
        .map((fault) => `${fault.pointer ?? fault.parameter ?? "request"}: ${fault.detail}`)
        .join("; ");
    case "precondition-failed":
      return "Somebody else changed it meanwhile; look at it again.";
    case "unauthenticated":
      return "Please sign in again.";
    case "address-not-allowed":
      return `From here this client may do nothing. ${problem.detail}`;
    case "forbidden":
      return `You may not do this. ${problem.detail}`;
    case "not-found":
      return "It is not there (any more).";
    case "root-owner":
      return "The root owner can't lose this; hand the root ownership over first.";
    case "not-empty":
      return `There is something in it yet. ${problem.detail}`;
    case "quota-reached":
      return `Your organisation may have no more of these. ${problem.detail}`;
    case "public-client":
      return "This client is public, and has no secrets.";
    case "too-many-secrets":
      return `It has as many secrets as it may have. ${problem.detail}`;
    case "platform-tenant":
      return "This can't be done to the operators' own tenant.";
    case "too-many-requests":
    case "unavailable":
      return "Please try again in a moment.";
    case "position-expired":
      return "You were away for too long; everything is loaded anew.";
    case "internal":
      return `Something failed; please report ${problem.request_id ?? "it"}.`;
    case "malformed-json":
    case "invalid-cursor":
    case "invalid-idempotency-key":
    case "method-not-allowed":
    case "too-large":
    case "unsupported-media-type":
    case "idempotency-key-reused":
      return `This console made a mistake: ${problem.detail}`;
    default:
      return unheardOf(problem.code);
  }
}

/** The compiler sees that no code is left; a server that is newer than these types may still send one. */
function unheardOf(code: never): string {
  return `It went wrong (${String(code)}).`;
}
