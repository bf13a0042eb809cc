//! An installation by the clock of the machine, for servers that are processes of their own.

use std::sync::Arc;
use std::time::Duration;

use grantor_api_server::Api;
use grantor_api_server::bootstrap::{Outcome, bootstrap};
use grantor_authority::Authority;
use grantor_keys::SystemEntropy;
use grantor_server_kit::{Clock as _, SystemClock};
use grantor_storage::{Database, DatabaseOptions, partitions};
use grantor_test_support::TestDatabase;

use crate::world::{Credentials, wait_for};

/// What issuers begin with: a name that nobody resolves.
const ISSUER_BASE: &str = "https://login.grantor.example";

/// Where it is, and who operates it.
#[derive(Debug, Clone)]
pub struct Installation {
    /// How servers reach its database.
    pub database_url: String,
    /// What the stored issuers begin with.
    pub issuer_base: String,
    /// The operator.
    pub operator: Credentials,
    /// The operator's tenant.
    pub platform: String,
}

impl Installation {
    /// Bootstraps it in a migrated database.
    ///
    /// # Panics
    /// When it can't be.
    pub fn make(database_url: &str) -> Self {
        let database = Database::new(DatabaseOptions {
            url: database_url.to_owned(),
            pool_size: 2,
            deadline: Duration::from_secs(60),
            entropy: Arc::new(SystemEntropy::default()),
        });
        wait_for(partitions::keep(&database, SystemClock.now())).expect("partitions");
        let api = Api::new(
            Authority::new(database, TestDatabase::keyring()),
            Arc::new(SystemClock),
            "http://127.0.0.1:8080",
            ISSUER_BASE,
        );
        let Ok(Outcome::Done(made)) = wait_for(bootstrap(&api)) else {
            panic!("no bootstrap");
        };
        Self {
            database_url: database_url.to_owned(),
            issuer_base: ISSUER_BASE.to_owned(),
            operator: Credentials {
                client_id: made.client_id,
                client_secret: made.client_secret,
            },
            platform: made.tenant_id,
        }
    }
}
