//! A tenant with a tree, members in it, and clients that act for them.

use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, Replica, World};
use grantor_domain::ids::{MemberId, OrganizationId, TenantId};
use serde_json::{Value, json};

use crate::asking::{hexadecimal, organization_of, scene_in};
use crate::operations::{Scene, events, without_request_id};

pub const NEVER: &str = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b";
pub const NO_ORGANIZATION: &str = "org_01kb2q3r4s5t6v7w8x9y0z1a2b";

/// `Acme(A(A1) B)`.
pub struct Acme {
    pub scene: Scene,
    pub root: String,
    pub a: String,
    pub a1: String,
    pub b: String,
}

impl Acme {
    pub fn new() -> Self {
        Self::of(World::new())
    }

    pub fn of(world: World) -> Self {
        let scene = scene_in(world);
        let root = organization_of(&scene, &scene.subject).to_string();
        let make = |parent: &str, name: &str| {
            let body = json!({ "name": name, "parent_id": parent }).to_string();
            scene.call("POST", "/organizations", &body).text("/id")
        };
        let a = make(&root, "A");
        let a1 = make(&a, "A1");
        let b = make(&root, "B");
        Self {
            scene,
            root,
            a,
            a1,
            b,
        }
    }

    pub fn world(&self) -> &World {
        &self.scene.world
    }

    /// Calls below the tenant as somebody, on a replica.
    pub fn send_at(
        &self,
        replica: &Replica,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut all = vec![("authorization", who)];
        all.extend_from_slice(headers);
        let mut text = String::new();
        if !body.is_null() {
            all.push(("content-type", "application/json"));
            text = body.to_string();
        }
        let url = format!("{}/v1/tenants/{}{path}", replica.api, self.scene.tenant.id);
        let http = &self.world().http;
        http.send(method, &url, &all, text.as_bytes())
    }

    pub fn send_as(&self, who: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.send_at(&self.world().replica, who, method, path, &[], body)
    }

    /// Calls as the client that administers the whole tenant.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send_as(&self.scene.admin, method, path, body)
    }

    pub fn get(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null).expect(200)
    }

    /// Makes a member who lives there; tells their id.
    #[track_caller]
    pub fn member_in(&self, organization: &str, name: &str, email: &str) -> String {
        let body = json!({ "name": name, "email": email, "organization_id": organization });
        let made = self.send("POST", "/members", &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    pub fn assign(&self, member: &str, role: &str, over: &str) -> String {
        let tenant = &self.scene.tenant;
        self.world().assign(tenant, member, role, Some(over))
    }

    /// The authorization of a client that acts for a member, with every scope.
    pub fn token_of(&self, member: &str) -> String {
        self.token_with(member, &World::every_scope())
    }

    /// The same with these scopes, named without the API's prefix.
    pub fn narrow(&self, member: &str, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|s| format!("grantor:{s}")).collect();
        self.token_with(member, &scopes.join(" "))
    }

    fn token_with(&self, member: &str, scopes: &str) -> String {
        let tenant = &self.scene.tenant;
        self.world()
            .as_member(tenant, &tenant.admin, member, scopes)
    }

    /// A member who lives there and administers it, and their authorization.
    pub fn admin_of(&self, organization: &str, email: &str) -> (String, String) {
        self.holder_of("admin", organization, email)
    }

    /// A member who lives there and holds a role there, and their authorization.
    pub fn holder_of(&self, role: &str, organization: &str, email: &str) -> (String, String) {
        let member = self.member_in(organization, "Somebody", email);
        self.assign(&member, role, organization);
        let token = self.token_of(&member);
        (member, token)
    }

    /// Makes a role of the tenant's own; tells its id.
    #[track_caller]
    pub fn role(&self, name: &str, permissions: &[&str]) -> String {
        let body = json!({ "name": name, "permissions": permissions });
        let made = self.send("POST", "/roles", &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    /// The tenant's events with this action, the newest first.
    pub fn events(&self, action: &str) -> Vec<Value> {
        let mut events = events(self.world(), &self.scene.tenant);
        events.retain(|event| event["action"] == action);
        events
    }

    /// A status by which a member's token answers on a replica.
    pub fn status_at(&self, replica: &Replica, who: &str, path: &str) -> u16 {
        self.send_at(replica, who, "GET", path, &[], &Value::Null)
            .status
    }

    pub fn sql(&self, sql: &str) {
        self.world()
            .database
            .superuser()
            .batch_execute(sql)
            .unwrap();
    }

    pub fn tenant_uuid(&self) -> String {
        let id: TenantId = self.scene.tenant.id.parse().unwrap();
        id.uuid().to_string()
    }
}

pub fn member_uuid(id: &str) -> String {
    let id: MemberId = id.parse().unwrap();
    id.uuid().to_string()
}

pub fn organization_uuid(id: &str) -> String {
    let id: OrganizationId = id.parse().unwrap();
    id.uuid().to_string()
}

/// The path of a member, and of something below them.
pub fn of(member: &str, what: &str) -> String {
    format!("/members/{member}{what}")
}

/// Two answers that nobody can tell apart.
#[track_caller]
pub fn alike(one: &Answer, other: &Answer) {
    assert_eq!(without_request_id(one), without_request_id(other));
}

/// A text as it stands in a query.
pub fn encoded(text: &str) -> String {
    let hexadecimal = hexadecimal(text).into_bytes();
    let bytes = hexadecimal.chunks(2).map(String::from_utf8_lossy);
    bytes.flat_map(|byte| ["%".into(), byte]).collect()
}
