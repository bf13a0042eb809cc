//! A tenant, and clients of it that get real tokens.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use grantor_authority::{Authority, PresentedCredentials, TokenRequest};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, RoleAssignmentId};
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::tenant::NewTenant;
use grantor_keys::{PlainSecret, SecretKind};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::scope::Scopes;
use grantor_storage::client_secrets::{self, NewSecret, SecretVerifier};
use grantor_storage::clients;
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{
    Change, Database, DatabaseOptions, Scope, StorageError, installation, tenants,
};
use grantor_test_support::{FixedClock, SeededEntropy, TestDatabase, builders};

/// What a caller of these tests may use its token for.
pub const SCOPES: &str = "grantor:clients.read grantor:clients.disable";

/// An installation with one tenant.
pub struct Site {
    /// What is asked.
    pub authority: Authority,
    /// The tenant.
    pub tenant: NewTenant,
    entropy: Arc<SeededEntropy>,
    // Last: it is dropped when nobody is connected.
    /// The database.
    pub test: TestDatabase,
}

/// A client that can get tokens.
#[derive(Clone)]
pub struct Machine {
    /// Its id.
    pub id: ClientId,
    secret: String,
}

impl Site {
    /// A site whose servers have so many connections.
    pub fn new(pool_size: u32) -> Self {
        let test = TestDatabase::new();
        let entropy = Arc::new(SeededEntropy::new(5));
        let database = Database::new(DatabaseOptions {
            url: test.url(),
            pool_size,
            deadline: Duration::from_secs(20),
            entropy: entropy.clone(),
        });
        let tenant = builders::tenant("Acme", now(), entropy.as_ref());
        let made = tenant.clone();
        let stored: Result<(), StorageError> = wait_for(database.change(
            Scope::Platform(Some(made.id)),
            builders::origin(),
            now(),
            move |tx| {
                installation::insert(tx, 42, b"check")?;
                tenants::insert(tx, &made)?;
                let event = Event::new(made.id, Action::TenantCreated, Target::Tenant(made.id));
                Ok(Change::made((), event))
            },
        ));
        stored.unwrap();
        Self {
            authority: Authority::new(database, TestDatabase::keyring()),
            tenant,
            entropy,
            test,
        }
    }

    /// Makes a client with a role over the root.
    pub fn machine(&self, name: &str, role: BuiltInRole) -> Machine {
        let entropy = self.entropy.as_ref();
        let (tenant, root) = (self.tenant.id, self.tenant.root_organization);
        let id: ClientId = builders::id_at(now(), entropy);
        let role_id: RoleAssignmentId = builders::id_at(now(), entropy);
        let settings = builders::client(name, SCOPES);
        let plain = PlainSecret::generate(SecretKind::Client, entropy).unwrap();
        let secret = NewSecret {
            id: builders::id_at(now(), entropy),
            hint: plain.hint(),
            verifier: SecretVerifier::Keyed(self.authority.keyring().verifier(&plain, id.uuid())),
            expires_at: None,
        };
        let stored: Result<(), StorageError> = wait_for(self.authority.database().change(
            Scope::Tenant(tenant),
            builders::origin(),
            now(),
            move |tx| {
                clients::insert(tx, tenant, &builders::new_client(id, root, &settings))?;
                client_secrets::insert(tx, tenant, id, &secret)?;
                let held = HeldRole::new(role, root);
                role_assignments::insert(tx, tenant, role_id, Holder::Client(id), &held)?;
                Ok(Change::made((), builders::client_event(tenant, id)))
            },
        ));
        stored.unwrap();
        Machine {
            id,
            secret: plain.expose().to_owned(),
        }
    }

    /// Issues a token to a client.
    pub fn token(&self, machine: &Machine) -> String {
        let request = TokenRequest {
            tenant: self.tenant.id,
            credentials: PresentedCredentials {
                client_id: machine.id.to_string(),
                client_secret: machine.secret.clone(),
                method: TokenEndpointAuthMethod::ClientSecretBasic,
            },
            scopes: Some(Scopes::parse(SCOPES).unwrap()),
            ip: None,
            user_agent: Some("a program whose name has the usual length/1.0".to_owned()),
        };
        let issued = wait_for(self.authority.issue_for_client(request, now()));
        issued.unwrap().token
    }
}

/// The time, which stands still.
pub fn now() -> DateTime<Utc> {
    FixedClock::start()
}

/// A runtime like that of a worker of an HTTP server.
pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Runs a future to its end.
pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}
