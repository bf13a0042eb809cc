//! An installation by the clock of the machine, as readiness demands it, and what is asked of it in an outage.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use grantor_acceptance::{Answer, Credentials, Http, Replica, ServerSettings};
use grantor_api_server::Api;
use grantor_api_server::bootstrap::{Outcome, bootstrap};
use grantor_authority::Authority;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::resource_server::{
    ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, SigningAlgorithm, TokenFormat,
    Verification,
};
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use grantor_server_kit::{Clock as _, SystemClock};
use grantor_storage::{
    Change, Database, DatabaseOptions, Scope, StorageError, migrate, partitions, resource_servers,
};
use grantor_test_support::{SeededEntropy, TestDatabase, TestServer, builders};
use serde_json::{Value, json};

/// A handler's deadline in these tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);
/// What an answer may take beyond it.
const SLACK: Duration = Duration::from_secs(1);
const BASE: &str = "https://login.grantor.example";

/// Seeds that no two sources of one process share, so that no two replicas make the same ids.
fn entropy() -> Arc<SeededEntropy> {
    static SEED: AtomicU32 = AtomicU32::new(1000);
    Arc::new(SeededEntropy::new(
        SEED.fetch_add(1, Ordering::SeqCst).into(),
    ))
}

/// Runs a future to its end.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Waits until something holds, for a minute at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A PostgreSQL of the test's own, which it may stop, kill and freeze.
pub(crate) struct OwnServer {
    folder: PathBuf,
    server: Option<TestServer>,
}

impl OwnServer {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("grantor-outage-{}-{count}", std::process::id());
        let mut own = Self {
            folder: std::env::temp_dir().join(name),
            server: None,
        };
        own.start();
        let server = own.server();
        server.create_database("site");
        migrate::up(&server.owner_url("site")).unwrap();
        server.admit_server_role("site");
        own
    }

    pub(crate) fn start(&mut self) {
        self.server = Some(TestServer::start(self.folder.clone()).expect("a folder of one's own"));
    }

    pub(crate) fn server(&self) -> &TestServer {
        self.server.as_ref().expect("PostgreSQL runs")
    }

    pub(crate) fn url(&self) -> String {
        self.server().server_url("site")
    }

    pub(crate) fn superuser_url(&self) -> String {
        self.server().superuser_url("site")
    }

    pub(crate) fn stop(&mut self) {
        self.server.take().expect("PostgreSQL runs").stop();
    }

    /// Ends every process of it at once, as a machine that fails does.
    pub(crate) fn kill(&mut self) {
        signal("-KILL", self.server().postmaster_pid());
        drop(self.server.take());
    }

    /// Holds every process of it where it is, until the value is dropped.
    pub(crate) fn freeze(&self) -> Frozen {
        let postmaster = self.server().postmaster_pid();
        signal("-STOP", postmaster);
        Frozen(postmaster)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.server.take());
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Processes that stand still.
pub(crate) struct Frozen(u32);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("-CONT", self.0);
    }
}

/// Sends a signal to a postmaster, then to its children: so no new one comes in between.
fn signal(name: &str, postmaster: u32) {
    let children = || {
        let parent = postmaster.to_string();
        let listed = Command::new("pgrep")
            .args(["-P", &parent])
            .output()
            .unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // Once killed it has no children any more.
    let mut all = if name == "-KILL" {
        children()
    } else {
        Vec::new()
    };
    let send = |pid: &str| {
        let mut kill = Command::new("kill");
        kill.args([name, pid]).stderr(Stdio::null());
        kill.status().unwrap()
    };
    assert!(send(&postmaster.to_string()).success());
    if name != "-KILL" {
        all = children();
    }
    for child in all {
        // One may have ended by itself meanwhile.
        send(&child);
    }
}

/// Whose words an endpoint speaks when it can't answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    OAuth,
    Problem,
}

/// A request that can be made again and again.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) name: &'static str,
    pub(crate) words: Words,
    method: &'static str,
    url: String,
    authorization: String,
    content: &'static str,
    body: String,
}

/// An installation with a tenant, a client that gets tokens and one that may introspect them.
pub(crate) struct Site {
    pub(crate) http: Http,
    pub(crate) tenant: String,
    pub(crate) machine: Credentials,
    pub(crate) checker: Credentials,
    /// The authorization of the tenant's administrator.
    pub(crate) admin: String,
    url: String,
}

fn credentials(answer: &Value, id: &str, secret: &str) -> Credentials {
    let text = |pointer| {
        answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    Credentials {
        client_id: text(id),
        client_secret: text(secret),
    }
}

impl Site {
    /// Makes it in a migrated database; its servers are gone again.
    pub(crate) fn new(url: &str) -> Self {
        let database = Database::new(DatabaseOptions {
            url: url.to_owned(),
            pool_size: 2,
            deadline: Duration::from_secs(20),
            entropy: entropy(),
        });
        wait_for(partitions::keep(&database, SystemClock.now())).unwrap();
        let api = Api::new(
            Authority::new(database.clone(), TestDatabase::keyring()),
            Arc::new(SystemClock),
            "http://127.0.0.1:8080",
            BASE,
        );
        let Ok(Outcome::Done(made)) = wait_for(bootstrap(&api)) else {
            panic!("no bootstrap");
        };
        let operator = Credentials {
            client_id: made.client_id,
            client_secret: made.client_secret,
        };
        let replica = start(url, 4, 20);
        let nobody = || Credentials {
            client_id: String::new(),
            client_secret: String::new(),
        };
        let mut site = Self {
            http: Http::default(),
            tenant: String::new(),
            machine: nobody(),
            checker: nobody(),
            admin: String::new(),
            url: url.to_owned(),
        };
        let token = site
            .token(
                &replica,
                &made.tenant_id,
                &operator,
                "grantor:tenants.create",
            )
            .text("/access_token");
        let body = json!({ "name": "Acme", "admin_client": true,
            "owner": { "name": "Owner", "email": "owner@example.com" } });
        let tenant = site
            .http
            .post_json(
                &format!("{}/v1/tenants", replica.api),
                &[("authorization", &format!("Bearer {token}"))],
                &body,
            )
            .expect(201);
        site.tenant = tenant["id"].as_str().unwrap().to_owned();
        let admin = credentials(
            &tenant,
            "/admin_client/client_id",
            "/admin_client/client_secret",
        );
        let scopes = "grantor:clients.read grantor:clients.write grantor:clients.disable \
                      grantor:clients.delete grantor:secrets.write grantor:audit.read \
                      grantor:changes.read";
        let token = site
            .token(&replica, &site.tenant, &admin, scopes)
            .text("/access_token");
        site.admin = format!("Bearer {token}");
        let client = |name, scopes| {
            let made = site
                .send(&site.create(&replica, name, scopes))
                .0
                .expect(201);
            credentials(&made, "/id", "/secret/value")
        };
        let checker = client("Checker", &[]);
        orders_api(&database, &site.tenant, &checker);
        let machine = client("Machine", &["orders.api:read"]);
        (site.checker, site.machine) = (checker, machine);
        site
    }

    /// Servers with the short deadline.
    pub(crate) fn replica(&self) -> Replica {
        start(&self.url, 4, 2)
    }

    /// Servers with the short deadline that reach PostgreSQL by another way, or by fewer connections.
    pub(crate) fn replica_by(&self, url: Option<&str>, pool_size: u32) -> Replica {
        start(url.unwrap_or(&self.url), pool_size, 2)
    }

    /// Servers that give requests, and the drain, all the time that a busy machine may need.
    pub(crate) fn patient_replica_by(url: &str) -> Replica {
        let settings = ServerSettings {
            issuer_base: Some(BASE.to_owned()),
            drain_seconds: Some(20),
            ..ServerSettings::default()
        };
        Replica::start(url, Arc::new(SystemClock), entropy(), &settings)
    }

    fn endpoint(&self, replica: &Replica, name: &str) -> String {
        format!("{}/t/{}/{name}", replica.token, self.tenant)
    }

    fn form(
        &self,
        replica: &Replica,
        name: &'static str,
        client: &Credentials,
        body: String,
    ) -> Ask {
        Ask {
            name,
            words: Words::OAuth,
            method: "POST",
            url: self.endpoint(replica, name),
            authorization: client.basic(),
            content: "application/x-www-form-urlencoded",
            body,
        }
    }

    fn call(&self, replica: &Replica, name: &'static str, method: &'static str, path: &str) -> Ask {
        Ask {
            name,
            words: Words::Problem,
            method,
            url: format!("{}/v1/tenants/{}{path}", replica.api, self.tenant),
            authorization: self.admin.clone(),
            content: "application/json",
            body: String::new(),
        }
    }

    pub(crate) fn ask_token(&self, replica: &Replica) -> Ask {
        let body = "grant_type=client_credentials&scope=orders.api:read".to_owned();
        self.form(replica, "token", &self.machine, body)
    }

    pub(crate) fn ask_introspection(&self, replica: &Replica, token: &str) -> Ask {
        self.form(
            replica,
            "introspect",
            &self.checker,
            format!("token={token}"),
        )
    }

    pub(crate) fn ask_revocation(&self, replica: &Replica, token: &str) -> Ask {
        self.form(replica, "revoke", &self.machine, format!("token={token}"))
    }

    pub(crate) fn create(&self, replica: &Replica, name: &str, scopes: &[&str]) -> Ask {
        let body = json!({ "name": name, "allowed_scopes": scopes,
            "profile": "service", "owner_contact": { "email": "owner@example.com" } });
        Ask {
            body: body.to_string(),
            ..self.call(replica, "create", "POST", "/clients")
        }
    }

    /// A verb of the machine's client.
    pub(crate) fn verb(&self, replica: &Replica, verb: &'static str) -> Ask {
        let path = format!("/clients/{}/{verb}", self.machine.client_id);
        self.call(replica, verb, "POST", &path)
    }

    /// One request to every endpoint that needs the database.
    pub(crate) fn everything(&self, replica: &Replica, token: &str) -> Vec<Ask> {
        vec![
            self.ask_token(replica),
            self.ask_introspection(replica, token),
            self.ask_revocation(replica, token),
            self.create(replica, "In vain", &[]),
            self.call(replica, "list", "GET", "/clients"),
            self.call(
                replica,
                "read",
                "GET",
                &format!("/clients/{}", self.machine.client_id),
            ),
            self.call(replica, "audit events", "GET", "/audit-events"),
            self.verb(replica, "disable"),
            self.verb(replica, "enable"),
            self.verb(replica, "secrets/rotate"),
        ]
    }

    /// Sends it; tells how long the answer took.
    pub(crate) fn send(&self, ask: &Ask) -> (Answer, Duration) {
        let mut headers = vec![("authorization", ask.authorization.as_str())];
        if !ask.body.is_empty() {
            headers.push(("content-type", ask.content));
        }
        let begun = Instant::now();
        let answer = self
            .http
            .send(ask.method, &ask.url, &headers, ask.body.as_bytes());
        (answer, begun.elapsed())
    }

    fn token(&self, replica: &Replica, tenant: &str, client: &Credentials, scope: &str) -> Answer {
        let form = format!(
            "grant_type=client_credentials&scope={}",
            scope.replace(' ', "+")
        );
        let url = format!("{}/t/{tenant}/token", replica.token);
        self.http
            .post_form(&url, &[("authorization", &client.basic())], &form)
    }

    /// A token of the machine, from servers that are well: asked for until there is one, for they share
    /// a busy machine.
    pub(crate) fn machine_token(&self, replica: &Replica) -> String {
        self.in_the_end(&self.ask_token(replica))
            .text("/access_token")
    }

    /// The first answer that is not 503; any other failure ends the test.
    pub(crate) fn in_the_end(&self, ask: &Ask) -> Answer {
        let mut last = None;
        until(ask.name, || {
            let (answer, took) = self.send(ask);
            if answer.status == 503 {
                assert_unavailable(ask, &answer, took);
                return false;
            }
            assert!(
                (200..300).contains(&answer.status),
                "{}: {answer:?}",
                ask.name
            );
            last = Some(answer);
            true
        });
        last.expect("an answer")
    }

    pub(crate) fn is_active(&self, replica: &Replica, token: &str) -> bool {
        let answer = self.in_the_end(&self.ask_introspection(replica, token));
        answer.json()["active"].as_bool().unwrap()
    }

    /// Everything is answered with a 503 in its own words and in time; readiness tells why, health is well.
    pub(crate) fn assert_all_unavailable(&self, replica: &Replica, token: &str) {
        // All at once: one after the other each would wait for its own deadline.
        std::thread::scope(|scope| {
            for ask in self.everything(replica, token) {
                scope.spawn(move || {
                    let (answer, took) = self.send(&ask);
                    assert_unavailable(&ask, &answer, took);
                });
            }
        });
        for operations in [&replica.api_operations, &replica.token_operations] {
            let begun = Instant::now();
            let ready = self.http.get(&format!("{operations}/readyz"), &[]);
            assert!(begun.elapsed() < DEADLINE + SLACK, "{:?}", begun.elapsed());
            let body = ready.clone().expect(503);
            assert_eq!(body["ready"], false);
            let reason = body["reasons"][0].as_str().unwrap();
            assert!(reason.starts_with("database: "), "{reason}");
            let health = self.http.get(&format!("{operations}/healthz"), &[]);
            assert_eq!(health.status, 200, "{}", health.body);
        }
    }

    /// Waits until both servers say that they are ready.
    pub(crate) fn until_ready(&self, replica: &Replica) {
        for operations in [&replica.api_operations, &replica.token_operations] {
            until("ready", || {
                self.http.get(&format!("{operations}/readyz"), &[]).status == 200
            });
        }
    }
}

/// A 503 in the words of its endpoint, in time, that says when to come again.
#[track_caller]
pub(crate) fn assert_unavailable(ask: &Ask, answer: &Answer, took: Duration) {
    let name = ask.name;
    assert_eq!(answer.status, 503, "{name}: {}", answer.body);
    assert!(took < DEADLINE + SLACK, "{name} took {took:?}");
    assert!(
        answer.header("retry-after").is_some(),
        "{name}: {:?}",
        answer.headers
    );
    let body = answer.json();
    match ask.words {
        Words::OAuth => {
            assert_eq!(body["error"], "temporarily_unavailable", "{name}: {body}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
        }
        Words::Problem => {
            assert_eq!(body["code"], "unavailable", "{name}: {body}");
            let kind = body["type"].as_str().unwrap();
            assert!(
                kind.starts_with("http") && kind.ends_with("/problems/unavailable"),
                "{name}: {kind}"
            );
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json"),
                "{name}"
            );
        }
    }
}

fn start(url: &str, pool_size: u32, deadline_seconds: u32) -> Replica {
    let settings = ServerSettings {
        issuer_base: Some(BASE.to_owned()),
        pool_size: Some(pool_size),
        deadline_seconds: Some(deadline_seconds),
        ..ServerSettings::default()
    };
    Replica::start(url, Arc::new(SystemClock), entropy(), &settings)
}

/// The resource server whose tokens the machine gets and the checker introspects.
fn orders_api(database: &Database, tenant: &str, checker: &Credentials) {
    let id: TenantId = tenant.parse().unwrap();
    let now = SystemClock.now();
    let server = ResourceServer {
        id: builders::id_at::<ResourceServerId>(now, database.entropy().as_ref()),
        key: ServerKey::private("orders.api").unwrap(),
        identifier: ServerIdentifier::parse("https://orders.example").expect("an identifier"),
        name: OrganizationName::parse("Orders").unwrap(),
        verification: Verification::Introspection,
        token_format: TokenFormat::Jwt,
        signing_algorithm: SigningAlgorithm::Es256,
        lifetime_cap: None,
        scopes: [(
            ScopeToken::parse("orders.api:read").unwrap(),
            ScopeFacts::described(Description::parse("").unwrap()),
        )]
        .into(),
        introspectors: vec![checker.client_id.parse::<ClientId>().unwrap()],
    };
    let made: Result<(), StorageError> =
        wait_for(
            database.change(Scope::Tenant(id), builders::origin(), now, move |tx| {
                resource_servers::insert(tx, id, &server)?;
                let target = Target::ResourceServer(server.id);
                Ok(Change::made(
                    (),
                    Event::new(id, Action::ResourceServerCreated, target),
                ))
            }),
        );
    made.unwrap();
}
