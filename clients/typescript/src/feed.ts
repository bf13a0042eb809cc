// The change feed. A follower misses nothing, however it follows: by asking again and again, or by events as they come.

import type { Api, Schemas } from "./connection.js";
import { inWords } from "./problems.js";

export type Change = Schemas["Change"];

/** Where the feed stands now: what comes after it is new. */
export async function now(api: Api, tenant: string): Promise<string> {
  const { data, error } = await api.GET("/v1/tenants/{tenant}/changes", {
    params: { path: { tenant }, query: { after: "now" } },
  });
  if (data === undefined) throw new Error(inWords(error));
  return data.position;
}

/** Everything after a position, page by page. */
export async function* after(api: Api, tenant: string, position: string, limit: number): AsyncGenerator<Change> {
  for (;;) {
    const { data, error } = await api.GET("/v1/tenants/{tenant}/changes", {
      params: { path: { tenant }, query: { after: position, limit } },
    });
    if (data === undefined) throw new Error(inWords(error));
    yield* data.items;
    if (!data.has_more) return;
    position = data.position;
  }
}

/** Changes as they come. Ends when the signal does, or when the server wants to be asked anew. */
export async function* follow(
  api: Api,
  tenant: string,
  position: string,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const { data, error, response } = await api.GET("/v1/tenants/{tenant}/changes", {
    params: { path: { tenant }, query: { after: position } },
    headers: { accept: "text/event-stream" },
    parseAs: "stream",
    signal,
  });
  if (error !== undefined) throw new Error(inWords(error));
  const kind = response.headers.get("content-type");
  if (!data || kind !== "text/event-stream") throw new Error(`this is no stream of events: ${kind}`);
  const reader = data.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const change = parsed(block);
        if (change !== undefined) yield change;
      }
    }
  } finally {
    // Whoever has seen enough hangs up: otherwise the server goes on sending.
    await reader.cancel();
  }
}

/** One event: lines of a name and a value. Those without data are signs of life. */
function parsed(block: string): Change | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const [, name, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields.set(name, value);
  }
  const text = fields.get("data");
  if (text === undefined) return undefined;
  const change = JSON.parse(text) as Change;
  if (change.type !== fields.get("event")) throw new Error(`an event of another type than its data: ${block}`);
  return change;
}

/** A line about a change. Its type tells which of the many it is. */
export function inALine(change: Change): string {
  switch (change.type) {
    case "client.created":
      return `${change.target.id} was created`;
    case "client.disabled":
    case "client.enabled":
      return `${change.target.id} was ${change.type === "client.disabled" ? "disabled" : "enabled"}`;
    case "client.deleted":
      return `${change.target.id} was deleted`;
    default:
      // There will be more types than these: what they have in common is enough to go on.
      return `${change.type}, version ${change.version}, of ${change.target.kind} ${change.target.id}`;
  }
}
