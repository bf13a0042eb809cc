//! One test's world: a database, a clock, and an installation that is bootstrapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_api_server::Api;
use grantor_api_server::bootstrap::{Outcome, bootstrap};
use grantor_authority::Authority;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::{
    ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, SigningAlgorithm, TokenFormat,
    Verification,
};
use grantor_domain::text::{Description, OrganizationName};
use grantor_keys::Entropy;
use grantor_protocol::scope::ScopeToken;
use grantor_server_kit::Clock;
use grantor_storage::{Change, Database, Scope, StorageError, resource_servers};
use grantor_test_support::{FixedClock, SeededEntropy, TestDatabase, builders};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::servers::{Replica, ServerSettings};

/// A client's id and secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The id.
    pub client_id: String,
    /// The secret.
    pub client_secret: String,
}

impl Credentials {
    /// The header that presents them by `client_secret_basic`.
    pub fn basic(&self) -> String {
        basic(&self.client_id, &self.client_secret)
    }
}

fn basic(user: &str, password: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for chunk in format!("{user}:{password}").as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS
                .get(((bits >> (18 - 6 * place)) & 63) as usize)
                .copied()
                .unwrap_or(b'=');
            text.push(if place > chunk.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

/// A tenant with a client that administers it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its issuer.
    pub issuer: String,
    /// Its administering client.
    pub admin: Credentials,
    /// The id of its first owner.
    pub owner: String,
}

/// Everything that a test needs.
pub struct World {
    /// The servers.
    pub replica: Replica,
    /// The clock of the servers.
    pub clock: Arc<FixedClock>,
    /// Their randomness.
    pub entropy: Arc<SeededEntropy>,
    /// The database; behind the servers, so that it goes last.
    pub database: TestDatabase,
    /// The HTTP client.
    pub http: Http,
    /// The operator.
    pub operator: Credentials,
    /// The issuer of the platform tenant.
    pub platform_issuer: String,
    /// The id of the platform tenant.
    pub platform_id: String,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with one replica.
    pub fn new() -> Self {
        Self::with(&ServerSettings::default())
    }

    /// A world whose servers run with these settings.
    ///
    /// # Panics
    /// When it can't be set up.
    pub fn with(settings: &ServerSettings) -> Self {
        let database = TestDatabase::new();
        let clock = Arc::new(FixedClock::default());
        let entropy = Arc::new(SeededEntropy::new(1));
        // Issuers are stored, so the base is fixed before the first tenant: a name that nobody resolves.
        let base = settings
            .issuer_base
            .clone()
            .unwrap_or_else(|| "https://login.grantor.example".to_owned());
        let settings = ServerSettings {
            issuer_base: Some(base.clone()),
            ..settings.clone()
        };
        let api = Api::new(
            Authority::new(database.open(), TestDatabase::keyring()),
            clock.clone(),
            "http://127.0.0.1:8080",
            &base,
        );
        let made = wait_for(bootstrap(&api)).expect("a bootstrap");
        let Outcome::Done(made) = made else {
            panic!("bootstrapped before")
        };
        let replica = Replica::start(&database.url(), clock.clone(), entropy.clone(), &settings);
        Self {
            replica,
            clock,
            entropy,
            database,
            http: Http::default(),
            operator: Credentials {
                client_id: made.client_id,
                client_secret: made.client_secret,
            },
            platform_issuer: made.issuer,
            platform_id: made.tenant_id,
        }
    }

    /// A second replica over the same database.
    pub fn another_replica(&self) -> Replica {
        self.another_replica_with(&ServerSettings::default())
    }

    /// A further replica over the same database, whose servers run with these settings.
    pub fn another_replica_with(&self, settings: &ServerSettings) -> Replica {
        // No two of one process share a seed: they would make the same ids.
        static SEED: AtomicU64 = AtomicU64::new(100);
        let settings = ServerSettings {
            issuer_base: Some(self.replica.settings.issuer_base.as_str().to_owned()),
            ..settings.clone()
        };
        let seed = SEED.fetch_add(1, Ordering::SeqCst);
        Replica::start(
            &self.database.url(),
            self.clock.clone(),
            Arc::new(SeededEntropy::new(seed)),
            &settings,
        )
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The address of something below the API's base.
    pub fn api(&self, path: &str) -> String {
        format!("{}{path}", self.replica.api)
    }

    /// The address of an endpoint of a tenant's issuer.
    pub fn endpoint(&self, tenant: &str, name: &str) -> String {
        format!("{}/t/{tenant}/{name}", self.replica.token)
    }

    /// Asks for a token with `client_secret_basic`.
    pub fn request_token(&self, tenant: &str, client: &Credentials, scope: &str) -> Answer {
        let form = format!(
            "grant_type=client_credentials&scope={}",
            scope.replace(' ', "+")
        );
        self.http.post_form(
            &self.endpoint(tenant, "token"),
            &[("authorization", &client.basic())],
            &form,
        )
    }

    /// Gets a token.
    #[track_caller]
    pub fn token(&self, tenant: &str, client: &Credentials, scope: &str) -> String {
        let answer = self.request_token(tenant, client, scope);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("/access_token")
    }

    /// The header that presents a token.
    pub fn bearer(token: &str) -> String {
        format!("Bearer {token}")
    }

    /// The operator's authorization for the management API.
    pub fn as_operator(&self) -> String {
        Self::bearer(&self.token(
            &self.platform_id,
            &self.operator,
            "grantor:tenants.create grantor:tenants.read grantor:tenants.write grantor:tenants.suspend \
             grantor:tenants.delete grantor:platform_resource_servers.write",
        ))
    }

    /// The operator's authorization with other scopes.
    pub fn operator_with(&self, scopes: &str) -> String {
        Self::bearer(&self.token(&self.platform_id, &self.operator, scopes))
    }

    /// Makes a tenant through the API.
    #[track_caller]
    pub fn tenant(&self, name: &str) -> Tenant {
        let body = json!({ "name": name, "admin_client": true,
            "owner": { "name": "Owner", "email": "owner@example.com" } });
        let made = self
            .http
            .post_json(
                &self.api("/v1/tenants"),
                &[("authorization", &self.as_operator())],
                &body,
            )
            .expect(201);
        let text = |pointer: &str| {
            made.pointer(pointer)
                .and_then(Value::as_str)
                .expect("a text")
                .to_owned()
        };
        Tenant {
            id: text("/id"),
            issuer: text("/issuer"),
            admin: Credentials {
                client_id: text("/admin_client/client_id"),
                client_secret: text("/admin_client/client_secret"),
            },
            owner: text("/owner_id"),
        }
    }

    /// The authorization of a tenant's administrator, with every scope that it may have.
    pub fn as_admin(&self, tenant: &Tenant) -> String {
        Self::bearer(&self.token(&tenant.id, &tenant.admin, &Self::every_scope()))
    }

    /// Makes a client through the API; tells its credentials.
    #[track_caller]
    pub fn client(&self, tenant: &Tenant, name: &str, scopes: &[&str]) -> Credentials {
        let body = json!({ "name": name, "allowed_scopes": scopes,
            "profile": "service", "owner_contact": { "email": "owner@example.com" } });
        let path = self.api(&format!("/v1/tenants/{}/clients", tenant.id));
        let made = self
            .http
            .post_json(&path, &[("authorization", &self.as_admin(tenant))], &body);
        assert_eq!(made.status, 201, "{}", made.body);
        Credentials {
            client_id: made.text("/id"),
            client_secret: made.text("/secret/value"),
        }
    }

    /// Makes the resource server `orders.api` with the scopes `orders.api:read` and `orders.api:write`, whose
    /// tokens these clients may introspect. Straight into storage: its endpoints come later.
    ///
    /// # Panics
    /// When storage refuses.
    pub fn orders_api(&self, tenant: &Tenant, introspectors: &[&Credentials]) {
        self.resource_server(tenant, Verification::Introspection, None, introspectors);
    }

    /// The same with another way of verification, or a cap on lifetimes.
    ///
    /// # Panics
    /// When storage refuses.
    pub fn resource_server(
        &self,
        tenant: &Tenant,
        verification: Verification,
        lifetime_cap: Option<AccessTokenLifetime>,
        introspectors: &[&Credentials],
    ) {
        let id: TenantId = tenant.id.parse().expect("a tenant's id");
        let scope = |name: &str| ScopeToken::parse(name).expect("a scope");
        let nothing = ScopeFacts::described(Description::parse("").expect("a description"));
        let server = ResourceServer {
            id: builders::id_at::<ResourceServerId>(
                self.now(),
                self.entropy.as_ref() as &dyn Entropy,
            ),
            key: ServerKey::private("orders.api").expect("a key"),
            identifier: ServerIdentifier::parse("https://orders.example").expect("an identifier"),
            name: OrganizationName::parse("Orders").expect("a name"),
            verification,
            token_format: TokenFormat::Jwt,
            signing_algorithm: SigningAlgorithm::Es256,
            lifetime_cap,
            scopes: [
                (scope("orders.api:read"), nothing.clone()),
                (scope("orders.api:write"), nothing),
            ]
            .into(),
            introspectors: introspectors
                .iter()
                .map(|client| client.client_id.parse::<ClientId>().expect("a client's id"))
                .collect(),
        };
        let database = self.storage();
        let made: Result<(), StorageError> = wait_for(database.change(
            Scope::Tenant(id),
            builders::origin(),
            self.now(),
            move |tx| {
                resource_servers::insert(tx, id, &server)?;
                let event = Event::new(
                    id,
                    Action::ResourceServerCreated,
                    Target::ResourceServer(server.id),
                );
                Ok(Change::made((), event))
            },
        ));
        made.expect("a resource server");
    }

    /// The database as a server has it, for what no endpoint does yet.
    pub fn storage(&self) -> Database {
        self.database.open()
    }

    /// Introspects a token on behalf of a client.
    pub fn introspect(&self, tenant: &str, client: &Credentials, token: &str) -> Answer {
        self.http.post_form(
            &self.endpoint(tenant, "introspect"),
            &[("authorization", &client.basic())],
            &format!("token={token}"),
        )
    }

    /// Whether a token is active, as a client sees it.
    #[track_caller]
    pub fn is_active(&self, tenant: &str, client: &Credentials, token: &str) -> bool {
        let answer = self.introspect(tenant, client, token).expect(200);
        answer
            .get("active")
            .and_then(Value::as_bool)
            .expect("active")
    }

    /// Revokes a token on behalf of a client.
    pub fn revoke(&self, tenant: &str, client: &Credentials, token: &str) -> Answer {
        self.http.post_form(
            &self.endpoint(tenant, "revoke"),
            &[("authorization", &client.basic())],
            &format!("token={token}"),
        )
    }
}

/// Runs a future to its end, outside of any server.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}
