// Clients of other kinds than services: made from a profile, given secrets, found by filters, made public.

import { expect, good, refused } from "./checks.js";
import type { Api, Schemas } from "./connection.js";
import { inWords } from "./problems.js";

type Client = Schemas["Client"];
type CreatedClient = Schemas["CreatedClient"];
type Secret = Schemas["Secret"];

const NAME = "Web shop";
const HOUR_SECONDS = 3600;

export class Kinds {
  constructor(
    private readonly api: Api,
    private readonly tenant: string,
  ) {}

  private of(client: string): { tenant: string; client: string } {
    return { tenant: this.tenant, client };
  }

  /** A web client: what the profile prefills, and where a browser goes back to. */
  private async create(redirect_uris: string[]): Promise<CreatedClient> {
    const profiles = good(await this.api.GET("/v1/client-profiles")).items;
    const web = profiles.find((profile) => profile.name === "web");
    expect(web?.allows.redirect_uris === true, "a form asks for redirect URIs where the profile has a use for them");
    const make = (uris: string[]) =>
      this.api.POST("/v1/tenants/{tenant}/clients", {
        params: { path: { tenant: this.tenant } },
        body: {
          name: NAME,
          profile: "web",
          redirect_uris: uris,
          owner_contact: { email: "shop@acme.example" },
        },
      });
    const problem = refused(await make(["https://shop.example/*"]), "invalid-field");
    expect(problem.errors?.[0]?.pointer === "/redirect_uris/0", "it is told which of them is at fault");
    console.log(`  a wildcard: ${inWords(problem)}`);
    const created = good(await make(redirect_uris));
    expect(created.grant_types.join() === web.prefills.grant_types.join(), "its grants are the profile's");
    expect(created.secret !== null, "it can keep a secret, and gets one");
    const endpoints = good(
      await this.api.GET("/v1/tenants/{tenant}/clients/{client}/endpoints", { params: { path: this.of(created.id) } }),
    );
    expect(endpoints.authorization_endpoint !== null, "its users have somewhere to sign in");
    return created;
  }

  private async secrets(client: string): Promise<Secret[]> {
    const path = "/v1/tenants/{tenant}/clients/{client}/secrets" as const;
    return good(await this.api.GET(path, { params: { path: this.of(client) } })).items;
  }

  /** A new secret, while the old one goes on for an hour. */
  private async rotate(created: CreatedClient): Promise<void> {
    const rotated = good(
      await this.api.POST("/v1/tenants/{tenant}/clients/{client}/secrets/rotate", {
        params: { path: this.of(created.id) },
        body: { confirm_name: NAME, grace_seconds: HOUR_SECONDS },
      }),
    );
    const [ending] = rotated.ending_secret_ids;
    expect(ending !== undefined && ending.id === created.secret?.id, "the old one goes on");
    expect(rotated.revoked_secret_ids.length === 0, "and none stops at once");
    const [fresh, old] = await this.secrets(created.id);
    expect(fresh?.id === rotated.secret.id && fresh.state === "live", "the new one is listed first");
    expect(old?.state === "live" && old.expires_at === ending.expires_at, "the old one is live until its end");
    console.log(`  ${fresh.hint ?? "one"} is new, ${old.hint ?? "one"} ends at ${ending.expires_at}`);
  }

  /** All that a filter lets through: a page may be short, even empty; the end is where there is no cursor. */
  private async find(type: Client["type"], q: string): Promise<Client[]> {
    const all: Client[] = [];
    let cursor: string | null = null;
    do {
      const page: Schemas["ClientPage"] = good(
        await this.api.GET("/v1/tenants/{tenant}/clients", {
          params: {
            path: { tenant: this.tenant },
            query: { type, q, limit: 1, ...(cursor !== null && { cursor }) },
          },
        }),
      );
      all.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(all.every((client) => client.type === type), `only clients that are ${type} are listed`);
    return all;
  }

  private async publish(client: string): Promise<void> {
    const published = good(
      await this.api.POST("/v1/tenants/{tenant}/clients/{client}/change-type", {
        params: { path: this.of(client) },
        body: { type: "public", confirm_name: NAME },
      }),
    );
    expect(published.token_endpoint_auth_method === "none" && published.require_pkce, "PKCE is what protects it");
    expect((await this.secrets(client)).length === 0, "its secrets are gone");
    const tried = await this.api.POST("/v1/tenants/{tenant}/clients/{client}/secrets", {
      params: { path: this.of(client) },
    });
    console.log(`  a secret of its own: ${inWords(refused(tried, "public-client"))}`);
  }

  async walk(): Promise<void> {
    console.log("two web clients");
    const first = await this.create(["https://shop.example/callback"]);
    const second = await this.create(["https://shop.example/callback", "http://localhost:3000/callback"]);
    console.log("a secret with a grace");
    await this.rotate(first);
    console.log("found by type and words");
    const found = (await this.find("confidential", "shop")).map((client) => client.id).sort();
    expect(found.join() === [first.id, second.id].sort().join(), "both are found, a page each");
    console.log("make one public");
    await this.publish(first.id);
    expect((await this.find("public", "shop")).map((client) => client.id).join() === first.id, "it is found as such");
    console.log("delete both at once");
    const gone = good(
      await this.api.POST("/v1/tenants/{tenant}/clients/bulk", {
        params: { path: { tenant: this.tenant } },
        body: { action: "delete", items: [first, second].map(({ id }) => ({ id, confirm_name: NAME })) },
      }),
    );
    expect(gone.succeeded === 2 && gone.failed === 0, "nothing is left behind");
  }
}
