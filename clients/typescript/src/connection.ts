// A connection to the management API: a token of the tenant's issuer, and a client whose calls are typed.

import createClient from "openapi-fetch";
import type { Client } from "openapi-fetch";

import type { components, paths } from "./generated/management.js";

export type Schemas = components["schemas"];
export type Api = Client<paths, Media>;

/** What this console takes. The change feed also comes as `text/event-stream`, which is read as a stream of its own. */
type Media = "application/json" | "application/problem+json";

export type Permission = Schemas["Permission"];

/** All that this console has a use for. */
const PERMISSIONS: readonly Permission[] = [
  "clients.read",
  "clients.write",
  "clients.disable",
  "clients.delete",
  "secrets.write",
  "organizations.read",
  "organizations.write",
  "members.read",
  "members.write",
  "members.delete",
  "roles.read",
  "roles.write",
  "roles.assign",
  "audit.read",
  "changes.read",
];

/** Each permission is a scope as well. */
function scope(permission: Permission): `grantor:${Permission}` {
  return `grantor:${permission}`;
}

export interface Place {
  /** Where the management API is. */
  readonly api: string;
  /** The tenant's issuer. */
  readonly issuer: string;
  /** `client_id:client_secret` of a client with the role `admin`. */
  readonly credentials: string;
}

/** RFC 6749 §4.4: the client acts for itself. */
async function accessToken(place: Place, permissions: readonly Permission[]): Promise<string> {
  const answer = await fetch(`${place.issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa(place.credentials)}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: permissions.map(scope).join(" ") }),
  });
  const body: unknown = await answer.json();
  if (answer.ok && typeof body === "object" && body !== null && "access_token" in body) {
    return String(body.access_token);
  }
  throw new Error(`no token: ${answer.status} ${JSON.stringify(body)}`);
}

/** With a token for these permissions and no others, as far as the client has them. */
export async function connect(place: Place, permissions = PERMISSIONS): Promise<Api> {
  const token = await accessToken(place, permissions);
  return createClient<paths, Media>({ baseUrl: place.api, headers: { authorization: `Bearer ${token}` } });
}
