// The people of a tenant and what they may do: the tree, a member who is invited, a role of the tenant's own.

import { etag, expect, good, refused } from "./checks.js";
import { connect } from "./connection.js";
import type { Api, Permission, Place, Schemas } from "./connection.js";
import { inWords } from "./problems.js";

export type Me = Schemas["Me"];
type Organization = Schemas["Organization"];
type Node = Schemas["OrganizationNode"];
type Role = Schemas["Role"];
type CreatedMember = Schemas["CreatedMember"];

/** Whose token this is, and what it permits. */
export async function whoAmI(api: Api): Promise<Me> {
  return good(await api.GET("/v1/me"));
}

/** Whether a console should offer something. */
function may(me: Me, permission: Permission): boolean {
  return me.permissions.some((held) => held.permission === permission);
}

/** The tree, a line for each organization. */
function drawn(nodes: readonly Node[], depth = 1): string[] {
  return nodes.flatMap((node) => ["  ".repeat(depth) + node.name, ...drawn(node.children, depth + 1)]);
}

/** Where an organization lies in the tree, if it is seen there. */
function found(nodes: readonly Node[], id: string): Node | undefined {
  for (const node of nodes) {
    const hit = node.id === id ? node : found(node.children, id);
    if (hit !== undefined) return hit;
  }
  return undefined;
}

export class People {
  constructor(
    private readonly api: Api,
    private readonly me: Me,
    private readonly place: Place,
  ) {}

  private get tenant(): string {
    return this.me.tenant.id;
  }

  /** A business group at the top, and one below it. */
  private async group(name: string, parent_id: string): Promise<Organization> {
    const made = await this.api.POST("/v1/tenants/{tenant}/organizations", {
      params: { path: { tenant: this.tenant } },
      body: { name, parent_id },
    });
    const { id } = good(made);
    expect(good(made).parent_id === parent_id, `${name} lies where it was put`);
    const known = await this.api.GET("/v1/tenants/{tenant}/organizations/{organization}", {
      params: { path: { tenant: this.tenant, organization: id }, header: { "If-None-Match": etag(made) } },
    });
    expect(known.response.status === 304, "who has the present state is told so");
    return good(made);
  }

  private async tree(): Promise<Node[]> {
    const answer = await this.api.GET("/v1/tenants/{tenant}/organizations/tree", {
      params: { path: { tenant: this.tenant } },
    });
    return good(answer).tops;
  }

  /** A member who is handed the link by which they set their first password. */
  private async invite(organization_id: string): Promise<CreatedMember> {
    const invite = (email: string) =>
      this.api.POST("/v1/tenants/{tenant}/members", {
        params: { path: { tenant: this.tenant } },
        body: { name: "A new colleague", email, organization_id, invitation: "show" },
      });
    const created = good(await invite("colleague@demo.example"));
    const link = created.invitation;
    expect(link?.url !== undefined && link.deliver === "show", "the link is shown this once");
    expect(new URL(link.url).href.startsWith(this.place.issuer), "it leads to the tenant's own page");
    expect(!created.has_password && created.status === "active", "there is no password until it is used");
    const again = await invite("Colleague@demo.example");
    console.log(`  an address that is taken: ${inWords(refused(again, "conflict"))}`);
    const read = await this.api.GET("/v1/tenants/{tenant}/members/{member}", {
      params: { path: { tenant: this.tenant, member: created.id } },
    });
    expect(!("invitation" in good(read)), "it is shown nowhere else");
    return created;
  }

  /** A role that is put together out of the catalogue. */
  private async role(name: string, permissions: Permission[]): Promise<Role> {
    const catalogue = good(await this.api.GET("/v1/permissions")).items;
    for (const wanted of permissions) {
      const known = catalogue.find((one) => one.name === wanted);
      expect(known !== undefined && !known.for_operators, `a tenant's role may permit ${wanted}`);
      console.log(`  ${name}: ${known.description}`);
    }
    const made = await this.api.POST("/v1/tenants/{tenant}/roles", {
      params: { path: { tenant: this.tenant } },
      body: { name, permissions },
    });
    expect(!good(made).built_in, "it is the tenant's own");
    return good(made);
  }

  private async give(member: string, role: string, organization_id: string): Promise<void> {
    const of = { tenant: this.tenant, member };
    const path = "/v1/tenants/{tenant}/members/{member}/role-assignments" as const;
    const given = good(
      await this.api.POST(path, { params: { path: of }, body: { role, organization_id } }),
    );
    const held = good(await this.api.GET(path, { params: { path: of } })).items;
    expect(held.map((one) => one.id).join() === given.id, "it is the one role that they hold");
    const over = await this.api.GET("/v1/tenants/{tenant}/organizations/{organization}/role-assignments", {
      params: { path: { tenant: this.tenant, organization: organization_id } },
    });
    expect(good(over).items.some((one) => one.member_id === member), "the organization tells who holds it");
  }

  /** What somebody meets who has no more than the role permits: the same scopes, and nothing beyond them. */
  private async limits(role: Role): Promise<void> {
    const api = await connect(this.place, role.permissions);
    const me = await whoAmI(api);
    const names = me.permissions.map((held) => held.permission).sort();
    expect(names.join() === [...role.permissions].sort().join(), "they may do what the role permits");
    expect(!may(me, "members.write") && may(this.me, "members.write"), "a console hides what is not listed");
    const seen = await api.GET("/v1/tenants/{tenant}/members", { params: { path: { tenant: this.tenant } } });
    expect(good(seen).items.length > 0, "what it permits is done");
    const tried = await api.POST("/v1/tenants/{tenant}/members", {
      params: { path: { tenant: this.tenant } },
      body: { name: "One too many", email: "another@demo.example" },
    });
    const problem = refused(tried, "forbidden");
    expect(tried.response.status === 403, "what it does not permit is forbidden, and not hidden");
    const challenge = tried.response.headers.get("www-authenticate") ?? "";
    expect(challenge.includes('scope="grantor:members.write"'), "the challenge names the scope that is missing");
    console.log(`  beyond the role: ${inWords(problem)}`);
  }

  /** Nothing is left behind; what is held or lived in can't go first. */
  private async tidy(member: CreatedMember, role: Role, groups: readonly Organization[]): Promise<void> {
    const path = { tenant: this.tenant };
    const removeRole = () =>
      this.api.DELETE("/v1/tenants/{tenant}/roles/{role}", { params: { path: { ...path, role: role.id } } });
    console.log(`  a role that is held: ${inWords(refused(await removeRole(), "not-empty"))}`);
    const now = await this.api.GET("/v1/tenants/{tenant}/members/{member}", {
      params: { path: { ...path, member: member.id } },
    });
    const gone = await this.api.DELETE("/v1/tenants/{tenant}/members/{member}", {
      params: {
        path: { ...path, member: member.id },
        query: { confirm_name: member.name },
        header: { "If-Match": etag(now) },
      },
    });
    expect(gone.response.status === 204, "the member is deleted, and the roles with them");
    expect((await removeRole()).response.status === 204, "now nobody holds the role");
    for (const group of groups) {
      const removed = await this.api.DELETE("/v1/tenants/{tenant}/organizations/{organization}", {
        params: { path: { ...path, organization: group.id }, query: { confirm_name: group.name } },
      });
      expect(removed.response.status === 204, `${group.name} is empty, and deleted`);
    }
  }

  async walk(): Promise<void> {
    console.log("the tree");
    const sales = await this.group("Sales", this.me.root_organization_id);
    const north = await this.group("Sales, north", sales.id);
    const tree = await this.tree();
    for (const line of drawn(tree)) console.log(line);
    expect(found(tree, sales.id)?.children.some((node) => node.id === north.id) === true, "one lies below the other");
    console.log("a member, invited");
    const member = await this.invite(north.id);
    console.log("a role of the tenant's own");
    const role = await this.role("Front desk", ["members.read", "organizations.read"]);
    await this.give(member.id, role.id, sales.id);
    await this.limits(role);
    console.log("and away again");
    await this.tidy(member, role, [north, sales]);
  }
}
