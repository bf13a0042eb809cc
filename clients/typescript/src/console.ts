// What a console does, from beginning to end. Fails as soon as anything is not as it should be.

import { etag, expect, good, refused } from "./checks.js";
import { connect } from "./connection.js";
import type { Api, Schemas } from "./connection.js";
import { after, follow, inALine, now } from "./feed.js";
import type { Change } from "./feed.js";
import { Kinds } from "./kinds.js";
import { People, whoAmI } from "./people.js";
import { inWords } from "./problems.js";

type Client = Schemas["Client"];
type CreatedClient = Schemas["CreatedClient"];
type Settings = Schemas["ClientSettings"];

// All that is needed of Node; the rest is what browsers have too.
declare const process: { readonly env: Readonly<Record<string, string | undefined>>; exitCode?: number };

const FEED_LIMIT_MILLISECONDS = 30_000;

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`the environment has no ${name}`);
  return value;
}

class Console {
  constructor(
    private readonly api: Api,
    private readonly tenant: string,
  ) {}

  private get inTenant(): { tenant: string } {
    return { tenant: this.tenant };
  }

  private of(client: string): { tenant: string; client: string } {
    return { tenant: this.tenant, client };
  }

  /** Every client, page by page. */
  async list(status: Client["status"], limit: number): Promise<Client[]> {
    const all: Client[] = [];
    let cursor: string | null = null;
    do {
      const query: { status: Client["status"]; limit: number; sort: "name"; cursor?: string } = {
        status,
        limit,
        sort: "name",
      };
      if (cursor !== null) query.cursor = cursor;
      const page: Schemas["ClientPage"] = good(
        await this.api.GET("/v1/tenants/{tenant}/clients", { params: { path: this.inTenant, query } }),
      );
      expect(page.items.length <= limit, "a page has no more than was asked for");
      all.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(all.every((client) => client.status === status), `only clients that are ${status} are listed`);
    return all;
  }

  async has(status: Client["status"], id: string): Promise<boolean> {
    return (await this.list(status, 2)).some((client) => client.id === id);
  }

  /** Rehearsed, then made, then made again with the same key: one effect, one answer. */
  async create(settings: Settings): Promise<CreatedClient> {
    const key = crypto.randomUUID();
    const make = (header: { "Idempotency-Key": string } | undefined, dry_run: boolean) =>
      this.api.POST("/v1/tenants/{tenant}/clients", {
        params: { path: this.inTenant, query: { dry_run }, ...(header && { header }) },
        body: settings,
      });
    const rehearsed = await make(undefined, true);
    expect(rehearsed.response.headers.get("dry-run") === "true", "the answer says that nothing came of it");
    const unmade = good(rehearsed);
    expect(!(await this.has("active", unmade.id)), "nothing came of the rehearsal");

    const first = await make({ "Idempotency-Key": key }, false);
    const again = await make({ "Idempotency-Key": key }, false);
    const created = good(first);
    expect(JSON.stringify(created) === JSON.stringify(good(again)), "the same key gets the same answer");
    expect(first.response.headers.get("idempotent-replayed") === null, "the first answer is the first");
    expect(again.response.headers.get("idempotent-replayed") === "true", "the second says that it is a repetition");
    expect(first.response.headers.get("location")?.endsWith(created.id) === true, "Location leads to it");
    expect(created.require_requested_scopes, "what was left out has its default");

    const other = await this.api.POST("/v1/tenants/{tenant}/clients", {
      params: { path: this.inTenant, header: { "Idempotency-Key": key } },
      body: { ...settings, name: "Another" },
    });
    refused(other, "idempotency-key-reused");
    return created;
  }

  /** Changes it with the state last seen; the second change comes with a stale one, and is done on a new look. */
  async describe(id: string): Promise<void> {
    const change = (description: string, seen: string) =>
      this.api.PATCH("/v1/tenants/{tenant}/clients/{client}", {
        params: { path: this.of(id), header: { "If-Match": seen } },
        body: { description },
      });
    const read = () => this.api.GET("/v1/tenants/{tenant}/clients/{client}", { params: { path: this.of(id) } });

    const seen = etag(await read());
    const changed = await change("Exports orders", seen);
    expect(good(changed).description === "Exports orders", "the description is changed");
    const stale = await change("Exports orders, nightly", seen);
    console.log(`  a stale change: ${inWords(refused(stale, "precondition-failed"))}`);
    const fresh = etag(await read());
    expect(fresh === etag(changed), "nothing came of the stale change");
    const done = good(await change("Exports orders, nightly", fresh));
    expect(done.description === "Exports orders, nightly", "on a new look it goes through");
    expect(done.revision > good(changed).revision, "each change counts");
  }

  async pause(id: string): Promise<void> {
    const disabled = good(
      await this.api.POST("/v1/tenants/{tenant}/clients/{client}/disable", {
        params: { path: this.of(id) },
        body: { reason: "It hammers the orders API" },
      }),
    );
    const [pause] = disabled.pauses;
    expect(disabled.status === "disabled" && pause?.by === "tenant", "it is disabled, by the tenant");
    expect(pause.reason === "It hammers the orders API", "and the reason is told");
    expect(await this.has("disabled", id), "it is listed among the disabled");
    expect(!(await this.has("active", id)), "and not among the active");
    const enabled = good(
      await this.api.POST("/v1/tenants/{tenant}/clients/{client}/enable", { params: { path: this.of(id) } }),
    );
    expect(enabled.status === "active" && enabled.pauses.length === 0, "it is enabled again");
  }

  /** Many at once: each has a result of its own. */
  async many(settings: Settings): Promise<void> {
    const items: Schemas["BulkItem"][] = [
      { operation: "createClient", body: { ...settings, name: "One of many" } },
      { operation: "createClient", body: { ...settings, name: "" } },
      { operation: "createClient", body: { ...settings, name: "Another of many" } },
    ];
    const send = (body: Schemas["Bulk"]) =>
      this.api.POST("/v1/tenants/{tenant}/bulk", { params: { path: this.inTenant }, body });
    const made = good(await send({ items, on_failure: "continue" }));
    expect(made.succeeded === 2 && made.failed === 1, "two went well and one did not");
    const [one, bad, another] = made.results;
    expect(one?.status === 201 && another?.status === 201, "those that were made are 201");
    expect(bad?.problem?.code === "invalid-field", "the nameless one is told why");
    console.log(`  one of many: ${inWords(bad.problem)}`);

    const ids = [one, another].map((result) => String(result.body?.["id"]));
    const removed = good(
      await send({
        items: ids.map((client, index) => ({
          operation: "deleteClient",
          path: { client },
          query: { confirm_name: index === 0 ? "One of many" : "Another of many" },
        })),
        on_failure: "stop",
      }),
    );
    expect(removed.results.every((result) => result.status === 204), "both are deleted");
  }

  async remove(id: string, name: string): Promise<void> {
    const remove = (confirm_name: string) =>
      this.api.DELETE("/v1/tenants/{tenant}/clients/{client}", {
        params: { path: this.of(id), query: { confirm_name } },
      });
    const mistyped = await remove(name.toLowerCase());
    console.log(`  a mistyped name: ${inWords(refused(mistyped, "confirmation-mismatch"))}`);
    expect((await remove(name)).response.status === 204, "with the very name it is deleted");
    const gone = await this.api.GET("/v1/tenants/{tenant}/clients/{client}", { params: { path: this.of(id) } });
    refused(gone, "not-found");
  }

  /** What was done to it, the oldest first, by the log of record. */
  async history(id: string): Promise<string[]> {
    const page = good(
      await this.api.GET("/v1/tenants/{tenant}/audit-events", {
        params: { path: this.inTenant, query: { target: id, sort: "at" } },
      }),
    );
    expect(page.next_cursor === null, "it all fits on a page");
    expect(page.items.every((event) => event.actor.kind === "client"), "this client did it all");
    const [made] = page.items;
    expect(made?.before === null && made.after !== null, "what was made was not there before");
    return page.items.map((event) => event.action);
  }
}

/** Collects what comes by server-sent events, up to the deletion of a client. */
async function collect(changes: AsyncGenerator<Change>, until: (change: Change) => boolean): Promise<Change[]> {
  const all: Change[] = [];
  for await (const change of changes) {
    all.push(change);
    if (until(change)) return all;
  }
  throw new Error("the stream ended before what was waited for had come");
}

async function run(): Promise<void> {
  const place = { api: setting("API"), issuer: setting("ISSUER"), credentials: setting("ADMIN") };
  const api = await connect(place);
  // A console begins with this: it tells which tenant the token is for, and what to offer and what to hide.
  console.log("who am I?");
  const me = await whoAmI(api);
  const tenant = me.tenant.id;
  expect(tenant === setting("TENANT"), "the token is for the tenant that it was asked for");
  expect(me.member === null && !me.is_operator, "a client of the tenant acts for itself");
  console.log(`  ${me.client.name} of ${me.tenant.name}, with ${me.permissions.length} permissions`);
  const waiting = new AbortController();
  const limit = setTimeout(() => waiting.abort(new Error("the changes did not come in time")), FEED_LIMIT_MILLISECONDS);
  try {
    await walk(api, tenant, waiting.signal);
    await new Kinds(api, tenant).walk();
    await new People(api, me, place).walk();
  } finally {
    clearTimeout(limit);
    waiting.abort();
  }
}

async function walk(api: Api, tenant: string, signal: AbortSignal): Promise<void> {
  const view = new Console(api, tenant);
  const settings: Settings = { name: "Nightly export", profile: "service", owner_contact: { email: "operations@acme.example" } };

  const position = await now(api, tenant);
  let mine = "";
  const isTheEnd = (change: Change) => change.type === "client.deleted" && change.target.id === mine;
  const streamed = collect(follow(api, tenant, position, signal), isTheEnd);
  // It is awaited at the end; until then its failure must not pass for one that nobody handles.
  streamed.catch(() => undefined);

  console.log("create");
  const created = await view.create(settings);
  mine = created.id;
  expect(created.secret?.value.startsWith("gsec_") === true, "its secret is shown this once");
  console.log("change");
  await view.describe(created.id);
  console.log("disable and enable");
  await view.pause(created.id);
  console.log("many at once");
  await view.many(settings);
  console.log("delete");
  await view.remove(created.id, created.name);

  console.log("log of record");
  const wanted = ["created", "updated", "updated", "disabled", "enabled", "deleted"].map((verb) => `client.${verb}`);
  const history = await view.history(created.id);
  expect(history.join() === wanted.join(), `the log says ${wanted.join()}, and not ${history.join()}`);

  console.log("change feed");
  const polled: Change[] = [];
  for await (const change of after(api, tenant, position, 3)) polled.push(change);
  const ofMine = polled.filter((change) => change.touched.includes(created.id));
  for (const change of ofMine) console.log(`  ${inALine(change)}`);
  expect(ofMine.map((change) => change.type).join() === wanted.join(), "the feed has the same, in the same order");
  const pushed = await streamed;
  const events = (changes: Change[]) => changes.map((change) => change.audit_event_id).join();
  expect(events(pushed) === events(polled), "what was pushed is what was polled");
}

run().then(
  () => console.log("All is as it should be."),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
