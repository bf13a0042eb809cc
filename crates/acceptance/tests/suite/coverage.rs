//! Walks the OpenAPI document and fails for every operation that lets in whom it should not, or that changes
//! something unsaid. What is added to the API is tested here before anybody thinks of it.

use std::collections::BTreeSet;
use std::rc::Rc;

use grantor_acceptance::{Answer, Credentials, Tenant, World};
use serde_json::{Value, json};

/// Operations to which one of these tests can't apply, each with why. An entry that is not needed fails too:
/// this list may only shrink.
const EXEMPT: &[(&str, Case, &str)] = &[
    (
        "bulk",
        Case::WrongPermission,
        "each item needs what its operation needs",
    ),
    (
        "bulk",
        Case::Audit,
        "each item leaves the events of its operation",
    ),
    (
        "bulkClients",
        Case::WrongPermission,
        "each item needs what its operation needs",
    ),
    (
        "bulkClients",
        Case::Audit,
        "each item leaves the events of its operation",
    ),
    (
        "listClientProfiles",
        Case::WrongPermission,
        "what kinds of clients there are is no secret",
    ),
    (
        "listClientProfiles",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "readMe",
        Case::WrongPermission,
        "whoever calls may know who they are",
    ),
    ("readMe", Case::ForeignTenant, "its path names no tenant"),
    (
        "listMyTokens",
        Case::WrongPermission,
        "what is one's own needs no permission",
    ),
    (
        "listMyTokens",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "removeMyToken",
        Case::WrongPermission,
        "what is one's own needs no permission",
    ),
    (
        "removeMyToken",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "removeMyTokens",
        Case::WrongPermission,
        "what is one's own needs no permission",
    ),
    (
        "removeMyTokens",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "removeAllMyTokens",
        Case::WrongPermission,
        "what is one's own needs no permission",
    ),
    (
        "removeAllMyTokens",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "listPermissions",
        Case::WrongPermission,
        "the catalogue is no secret",
    ),
    (
        "listPermissions",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "createTenant",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "listTenants",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "createPlatformResourceServer",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "listPlatformResourceServers",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "readPlatformResourceServer",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "updatePlatformResourceServer",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "replacePlatformResourceServer",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "deletePlatformResourceServer",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "putPlatformScope",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
    (
        "removePlatformScope",
        Case::ForeignTenant,
        "its path names no tenant",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    WrongPermission,
    ForeignTenant,
    Audit,
}

fn is_exempt(operation: &str, case: Case) -> bool {
    EXEMPT
        .iter()
        .any(|(id, exempt, _)| *id == operation && *exempt == case)
}

const NAME: &str = "Nightly export";
const MEMBER: &str = "A new colleague";

/// How paths end that name no thing but the tenant, and still lead to one that `If-Match` can name.
const OF_THE_TENANT_ITSELF: &[&str] = &["{tenant}", "suspend", "restore", "settings", "quotas"];

/// One operation of the document, and what it takes to call it.
struct Operation {
    id: String,
    method: String,
    path: String,
    declared: Value,
    document: Value,
}

fn operations(world: &World) -> Vec<Operation> {
    let document = world.http.get(&world.api("/openapi.json"), &[]).expect(200);
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, declared) in methods.as_object().unwrap() {
            all.push(Operation {
                id: declared["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                declared: declared.clone(),
                document: document.clone(),
            });
        }
    }
    assert!(
        all.len() >= 15,
        "the document has few operations: {}",
        all.len()
    );
    all
}

impl Operation {
    fn is_change(&self) -> bool {
        self.method != "GET"
    }

    fn permission(&self) -> Option<&str> {
        self.declared["x-permission"].as_str()
    }

    fn is_for_operators(&self) -> bool {
        self.permission()
            .is_some_and(|name| name.starts_with("tenants.") || name.starts_with("platform_"))
    }

    fn parameters(&self, place: &str) -> Vec<&Value> {
        let all = self.declared["parameters"].as_array();
        all.into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == place)
            .collect()
    }

    /// The example of the body, with ids of the scene in the place of those of the document.
    fn body(&self, scene: &Scene) -> Option<String> {
        let content = self.declared["requestBody"]["content"].as_object()?;
        let schema = &content.values().next()?["schema"];
        let named = schema["$ref"].as_str()?.strip_prefix('#')?;
        let schema = self.document.pointer(named)?;
        let example = match schema.get("example") {
            Some(example) => example.clone(),
            // A merge patch has no example of its own: a new name is one for whatever has it.
            None if self.id == "updateSettings" => json!({ "password_min_length": 16 }),
            None => json!({ "name": "Changed" }),
        };
        Some(scene.filled(&example.to_string()))
    }

    fn media_type(&self) -> Option<&str> {
        let content = self.declared["requestBody"]["content"].as_object()?;
        content.keys().next().map(String::as_str)
    }

    fn url(&self, scene: &Scene, tenant: &str) -> String {
        let mut path = self.path.replace("{tenant}", tenant);
        for (name, value) in &scene.ids {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "the scene has nothing for {path}");
        let required: Vec<_> = self
            .parameters("query")
            .into_iter()
            .filter(|parameter| parameter["required"] == true)
            .map(|parameter| {
                let example = parameter["schema"]["example"].as_str().expect("an example");
                let name = parameter["name"].as_str().unwrap();
                format!("{name}={}", scene.filled(example).replace(' ', "%20"))
            })
            .collect();
        scene.world.api(&format!("{path}?{}", required.join("&")))
    }

    fn call(&self, scene: &Scene, tenant: &str, more: &str, headers: &[(&str, &str)]) -> Answer {
        let body = self.body(scene).unwrap_or_default();
        let mut all = headers.to_vec();
        if let Some(kind) = self.media_type() {
            all.push(("content-type", kind));
        }
        let url = format!("{}{more}", self.url(scene, tenant));
        scene
            .world
            .http
            .send(&self.method, &url, &all, body.as_bytes())
    }
}

/// A tenant with something of everything in it, so that each operation has what to work on.
struct Scene {
    world: Rc<World>,
    tenant: Tenant,
    authorization: String,
    /// What stands for the parameters of paths.
    ids: Vec<(&'static str, String)>,
}

impl Scene {
    /// In a tenant of its own.
    fn new(world: &Rc<World>, operation: &Operation) -> Self {
        let world = world.clone();
        let tenant = world.tenant("Acme");
        let client = world.client(&tenant, NAME, &[]);
        let admin = world.as_admin(&tenant);
        let events = world.http.get(
            &world.api(&format!("/v1/tenants/{}/audit-events?limit=1", tenant.id)),
            &[("authorization", &admin)],
        );
        let authorization = if operation.is_for_operators() {
            world.as_operator()
        } else {
            admin
        };
        let mut scene = Self {
            authorization,
            ids: vec![
                ("client", client.client_id.clone()),
                ("event", events.text("/items/0/id")),
            ],
            tenant,
            world,
        };
        scene.prepare(operation);
        scene
    }

    /// What an operation needs to find besides.
    fn prepare(&mut self, operation: &Operation) {
        if operation.path.contains("{resource_server}") {
            let is_platform_wide = operation.path.starts_with("/v1/resource-servers");
            let (path, key) = if is_platform_wide {
                // Of its own in a world that many scenes share.
                let own = self.tenant.id.replace('_', "-");
                ("/v1/resource-servers".to_owned(), format!("orders-{own}"))
            } else {
                let path = format!("/v1/tenants/{}/resource-servers", self.tenant.id);
                (path, "orders.api".to_owned())
            };
            let body = json!({ "key": key, "identifier": format!("https://{key}.example"), "name": "Orders",
                "scopes": [{ "name": "read" }] });
            let operator = self.world.as_operator();
            let maker = if is_platform_wide {
                &operator
            } else {
                &self.authorization
            };
            let headers = [("authorization", maker.as_str())];
            let made = self
                .world
                .http
                .post_json(&self.world.api(&path), &headers, &body);
            self.ids.push(("resource_server", made.text("/id")));
            let scope = if ["putScope", "putPlatformScope"].contains(&operation.id.as_str()) {
                "refund"
            } else {
                "read"
            };
            self.ids.push(("scope", scope.to_owned()));
        }
        if operation.path.contains("{organization}") || operation.id == "enableClientIn" {
            for (kind, name) in [("organization", "Engineering"), ("new parent", "Products")] {
                let path = format!("/v1/tenants/{}/organizations", self.tenant.id);
                let headers = [("authorization", self.authorization.as_str())];
                let url = self.world.api(&path);
                let made = self
                    .world
                    .http
                    .post_json(&url, &headers, &json!({ "name": name }));
                self.ids.push((kind, made.text("/id")));
            }
        }
        let names_a_member = ["handOverRootOwnership", "transferClient"];
        if operation.path.contains("{member}") || names_a_member.contains(&operation.id.as_str()) {
            let member = self.world.member(&self.tenant, MEMBER, "new@acme.example");
            let assignment = self.world.assign(&self.tenant, &member, "owner", None);
            if operation.id == "enableMember" {
                let path = format!("/v1/tenants/{}/members/{member}/disable", self.tenant.id);
                let headers = [("authorization", self.authorization.as_str())];
                let url = self.world.api(&path);
                self.world
                    .http
                    .send("POST", &url, &headers, b"")
                    .expect(200);
            }
            if operation.id == "handOverRootOwnership" {
                let Tenant { admin, owner, .. } = &self.tenant;
                let scopes = World::every_scope();
                self.authorization = self.world.as_member(&self.tenant, admin, owner, &scopes);
            }
            self.ids.push(("member", member));
            self.ids.push(("role_assignment", assignment));
        }
        if operation.path.contains("{role}") {
            let body = json!({ "name": "Reader", "permissions": ["clients.read"] });
            let made = self.made("roles", &body);
            self.ids.push(("role", made));
        }
        self.prepare_client(operation);
        self.prepare_token(operation);
    }

    /// A token of the client, for the member whose tokens are asked for; one's own are asked for by a member.
    fn prepare_token(&mut self, operation: &Operation) {
        let tenant = self.tenant.clone();
        let is_own = operation.path.starts_with("/v1/me/tokens");
        if is_own {
            let scopes = World::every_scope();
            let Tenant { admin, owner, .. } = &tenant;
            self.authorization = self.world.as_member(&tenant, admin, owner, &scopes);
        }
        if !operation.path.contains("{token}") && !operation.path.ends_with("/tokens/remove") {
            return;
        }
        let client = self.ids[0].1.clone();
        let member = self.ids.iter().find(|(name, _)| *name == "member");
        let member = member.map_or(&tenant.owner, |(_, id)| id);
        let holder = Credentials {
            client_id: client.clone(),
            client_secret: String::new(),
        };
        self.world
            .member_token(&tenant, &holder, member, "openid", "urn:example");
        let path = format!("/v1/tenants/{}/clients/{client}/tokens", tenant.id);
        let admin = self.world.as_admin(&tenant);
        let headers = [("authorization", admin.as_str())];
        let listed = self.world.http.get(&self.world.api(&path), &headers);
        self.ids.push(("token", listed.text("/items/0/id")));
    }

    /// Whoever asked for the end of their own tokens needs another to ask again.
    fn authorize_anew(&mut self, operation: &Operation) {
        let Tenant { admin, owner, .. } = &self.tenant;
        if operation.id == "removeAllMyTokens" {
            let scopes = World::every_scope();
            self.authorization = self.world.as_member(&self.tenant, admin, owner, &scopes);
        } else if operation.id == "removeAllTokens" {
            self.authorization = self.world.as_admin(&self.tenant);
        }
    }

    /// The same of what hangs on the client.
    fn prepare_client(&mut self, operation: &Operation) {
        if operation.id == "changeClientType" {
            let body = json!({ "name": "Web shop", "profile": "web", "redirect_uris": ["https://shop.example/cb"],
                "owner_contact": { "email": "o@example.com" } });
            let made = self.made("clients", &body);
            self.ids[0].1 = made;
        }
        let client = self.ids[0].1.clone();
        if operation.path.contains("{secret}") {
            let made = self.post(&format!("clients/{client}/secrets"), &json!({}));
            self.ids.push(("secret", made.text("/secret/id")));
        }
        if operation.id == "revokeServiceRole" {
            let path = format!("clients/{client}/service-roles");
            let assignment = self.made(&path, &json!({ "role": "support" }));
            self.ids.push(("role_assignment", assignment));
        }
        if operation.id == "disableClientIn" {
            let group = self.ids.iter().find(|(name, _)| *name == "organization");
            let body = json!({ "organization_id": group.unwrap().1 });
            self.post(&format!("clients/{client}/enablements"), &body);
        }
        if operation.id == "enableClient" {
            let path = format!("/v1/tenants/{}/clients/{client}/disable", self.tenant.id);
            let url = self.world.api(&path);
            let headers = [("authorization", self.authorization.as_str())];
            self.world
                .http
                .send("POST", &url, &headers, b"")
                .expect(200);
        }
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let url = self
            .world
            .api(&format!("/v1/tenants/{}/{path}", self.tenant.id));
        let headers = [("authorization", self.authorization.as_str())];
        let made = self.world.http.post_json(&url, &headers, body);
        assert_eq!(made.status, 201, "{}", made.body);
        made
    }

    /// Makes something; tells its id.
    fn made(&self, path: &str, body: &Value) -> String {
        self.post(path, body).text("/id")
    }

    fn filled(&self, example: &str) -> String {
        let mut filled = example.to_owned();
        for (example, name) in [
            ("cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "client"),
            ("aud_01kb2q3r4s5t6v7w8x9y0z1a2b", "event"),
            ("rsv_01kb2q3r4s5t6v7w8x9y0z1a2b", "resource_server"),
            ("org_01kb2q3r4s5t6v7w8x9y0z1a2b", "organization"),
            ("org_01kb2q3r4s5t6v7w8x9y0z1a2c", "new parent"),
            ("mem_01kb2q3r4s5t6v7w8x9y0z1a2b", "member"),
            ("tok_01kb2q3r4s5t6v7w8x9y0z1a2b", "token"),
        ] {
            let id = self.ids.iter().find(|(known, _)| *known == name);
            if let Some((_, id)) = id {
                filled = filled.replace(example, id);
            }
        }
        filled
    }

    fn events(&self, tenant: &str, authorization: &str) -> Vec<Value> {
        let url = self
            .world
            .api(&format!("/v1/tenants/{tenant}/audit-events?limit=200"));
        let answer = self
            .world
            .http
            .get(&url, &[("authorization", authorization)]);
        answer.expect(200)["items"].as_array().unwrap().clone()
    }

    /// A token of a client of the tenant that holds the role `admin`, for one permission.
    fn token_for(&self, permission: &str) -> String {
        let scope = format!("grantor:{permission}");
        World::bearer(
            &self
                .world
                .token(&self.tenant.id, &self.tenant.admin, &scope),
        )
    }
}

fn problem(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{what}"
    );
    assert_eq!(answer.text("/code"), code, "{what}");
}

#[test]
fn nobody_gets_in_without_a_token() {
    let world = Rc::new(World::new());
    for operation in operations(&world) {
        let scene = Scene::new(&world, &operation);
        let id = &operation.id;
        let anonymous = operation.call(&scene, &scene.tenant.id, "", &[]);
        problem(&anonymous, 401, "unauthenticated", id);
        assert!(anonymous.header("www-authenticate").is_some(), "{id}");
        let made_up = [("authorization", "Bearer gat_made_up")];
        let strange = operation.call(&scene, &scene.tenant.id, "", &made_up);
        problem(&strange, 401, "unauthenticated", id);
    }
}

#[test]
fn nobody_gets_in_without_the_permission() {
    let world = Rc::new(World::new());
    for operation in operations(&world) {
        let id = &operation.id;
        let Some(permission) = operation.permission() else {
            assert!(
                is_exempt(id, Case::WrongPermission),
                "{id} needs no permission"
            );
            continue;
        };
        assert!(
            !is_exempt(id, Case::WrongPermission),
            "{id} needs no exemption"
        );
        let scene = Scene::new(&world, &operation);
        // The role allows it, the token doesn't.
        let other = if permission == "audit.read" {
            "clients.read"
        } else {
            "audit.read"
        };
        let token = scene.token_for(other);
        let refused = operation.call(&scene, &scene.tenant.id, "", &[("authorization", &token)]);
        problem(&refused, 403, "forbidden", id);
        assert!(
            refused.text("/detail").contains(permission),
            "{id}: {}",
            refused.body
        );

        // The token allows it, the client has no role.
        if !operation.is_for_operators() {
            let scope = format!("grantor:{permission}");
            let roleless = scene.world.client(&scene.tenant, "Roleless", &[&scope]);
            let token = scene.world.token(&scene.tenant.id, &roleless, &scope);
            let token = World::bearer(&token);
            let refused =
                operation.call(&scene, &scene.tenant.id, "", &[("authorization", &token)]);
            problem(&refused, 403, "forbidden", id);
        }
        // audit_1: both are on record.
        let log = scene.world.as_admin(&scene.tenant);
        let refusals = scene
            .events(&scene.tenant.id, &log)
            .into_iter()
            .filter(|event| event["action"] == "access.refused")
            .count();
        let expected = if operation.is_for_operators() { 1 } else { 2 };
        assert_eq!(refusals, expected, "{id}");
    }
}

#[test]
fn tenant_1_nobody_gets_into_another_tenant() {
    let world = Rc::new(World::new());
    for operation in operations(&world) {
        let id = &operation.id;
        if !operation.path.contains("{tenant}") {
            assert!(is_exempt(id, Case::ForeignTenant), "{id} names no tenant");
            continue;
        }
        assert!(
            !is_exempt(id, Case::ForeignTenant),
            "{id} needs no exemption"
        );
        let scene = Scene::new(&world, &operation);
        let other = scene.world.tenant("Other");
        let stranger = scene.world.as_admin(&other);
        let headers = [("authorization", stranger.as_str())];
        let before = scene.world.as_admin(&scene.tenant);
        let events = scene.events(&scene.tenant.id, &before).len();

        let foreign = operation.call(&scene, &scene.tenant.id, "", &headers);
        problem(&foreign, 404, "not-found", id);
        // It answers exactly like a tenant that never existed.
        let never = operation.call(&scene, "ten_01kb2q3r4s5t6v7w8x9y0z1a2b", "", &headers);
        let essence = |answer: &Answer| {
            let mut body = answer.json();
            body["request_id"] = Value::Null;
            body
        };
        assert_eq!(essence(&foreign), essence(&never), "{id}");
        let after = scene.world.as_admin(&scene.tenant);
        assert_eq!(scene.events(&scene.tenant.id, &after).len(), events, "{id}");

        // Things of a foreign tenant are not to be had below one's own either.
        let has_more = operation.path.matches('{').count() > 1;
        if has_more && !operation.is_for_operators() {
            let mixed = operation.call(&scene, &other.id, "", &headers);
            problem(&mixed, 404, "not-found", id);
        }
    }
}

#[test]
fn audit_1_every_change_is_on_record_and_a_dry_run_is_not() {
    let world = Rc::new(World::new());
    for operation in operations(&world)
        .iter()
        .filter(|operation| operation.is_change())
    {
        let id = &operation.id;
        let actions: BTreeSet<&str> = operation.declared["x-audit-actions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(actions.is_empty(), is_exempt(id, Case::Audit), "{id}");
        let scene = Scene::new(&world, operation);
        let headers = [("authorization", scene.authorization.as_str())];
        let log = || {
            let (tenant, authorization) = if operation.is_for_operators() {
                let operator = scene.world.operator_with("grantor:audit.read");
                (scene.world.platform_id.clone(), operator)
            } else {
                (scene.tenant.id.clone(), scene.world.as_admin(&scene.tenant))
            };
            scene.events(&tenant, &authorization)
        };
        if id == "restoreTenant" {
            // Last: while it is suspended nothing else can be prepared.
            let url = scene
                .world
                .api(&format!("/v1/tenants/{}/suspend", scene.tenant.id));
            let body = json!({ "reason": "Unpaid" });
            scene
                .world
                .http
                .post_json(&url, &headers, &body)
                .expect(200);
        }
        let before = log();

        let dry = operation.call(&scene, &scene.tenant.id, "&dry_run=true", &headers);
        assert!(
            (200..300).contains(&dry.status),
            "{id}: {} {}",
            dry.status,
            dry.body
        );
        assert_eq!(dry.header("dry-run"), Some("true"), "{id}");
        assert_eq!(log(), before, "{id}: a dry run leaves nothing behind");

        let done = operation.call(&scene, &scene.tenant.id, "", &headers);
        assert_eq!(done.status, dry.status, "{id}: {}", done.body);
        assert_eq!(done.header("dry-run"), None, "{id}");
        let after = log();
        assert!(after.len() > before.len(), "{id}");
        let new: BTreeSet<&str> = after[..after.len() - before.len()]
            .iter()
            .filter_map(|event| event["action"].as_str())
            .collect();
        assert!(
            new.is_superset(&actions),
            "{id}: {actions:?} are declared, {new:?} on record"
        );
    }
}

#[test]
fn a_change_of_what_exists_can_be_made_conditional() {
    let world = Rc::new(World::new());
    for operation in operations(&world)
        .iter()
        .filter(|operation| operation.is_change())
    {
        let id = &operation.id;
        let takes = operation
            .parameters("header")
            .iter()
            .any(|parameter| parameter["name"] == "If-Match");
        let last = operation.path.rsplit('/').next().unwrap();
        let on_a_thing = operation.path.replace("{tenant}", "").contains('{')
            || OF_THE_TENANT_ITSELF.contains(&last);
        assert_eq!(takes, on_a_thing, "{id}");
        if !takes {
            continue;
        }
        let scene = Scene::new(&world, operation);
        let headers = |etag: &'static str| {
            [
                ("authorization", scene.authorization.as_str()),
                ("if-match", etag),
            ]
        };
        let stale = operation.call(&scene, &scene.tenant.id, "", &headers("\"999\""));
        problem(&stale, 412, "precondition-failed", id);
        let malformed = operation.call(&scene, &scene.tenant.id, "", &headers("999"));
        problem(&malformed, 422, "invalid-field", id);
        let any = operation.call(&scene, &scene.tenant.id, "", &headers("*"));
        assert!((200..300).contains(&any.status), "{id}: {}", any.body);
    }
}

#[test]
fn the_same_key_gets_the_same_answer_and_has_one_effect() {
    let world = Rc::new(World::new());
    for operation in operations(&world)
        .iter()
        .filter(|operation| operation.is_change())
    {
        let id = &operation.id;
        let mut scene = Scene::new(&world, operation);
        // One for each: the operator is the same in every scene.
        let key = format!("0f8b1c9e-93a4-4f0e-{id}");
        let call = |scene: &Scene| {
            let headers = [
                ("authorization", scene.authorization.as_str()),
                ("idempotency-key", key.as_str()),
            ];
            operation.call(scene, &scene.tenant.id, "", &headers)
        };
        let first = call(&scene);
        assert!((200..300).contains(&first.status), "{id}: {}", first.body);
        scene.authorize_anew(operation);
        let again = call(&scene);
        assert_eq!(again.status, first.status, "{id}: {}", again.body);
        if ["bulk", "bulkClients"].contains(&id.as_str()) {
            let replayed = again.json()["results"]
                .as_array()
                .unwrap()
                .iter()
                .all(|item| item["replayed"] == true);
            assert!(replayed, "{}", again.body);
            continue;
        }
        assert_eq!(again.body, first.body, "{id}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{id}");
        for name in ["etag", "location"] {
            assert_eq!(again.header(name), first.header(name), "{id}");
        }
    }
}
