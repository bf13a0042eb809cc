//! A database for each test, copied from a template that is migrated once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use grantor_keys::{Keyring, MasterKey};
use grantor_storage::{Database, DatabaseOptions, migrate, partitions};

use crate::clock::FixedClock;
use crate::entropy::SeededEntropy;
use crate::postgres::{TestServer, shared};

/// The master key of tests.
pub fn master_key() -> MasterKey {
    MasterKey::parse("dGVzdHMtYWxvbmUtdXNlLXRoaXMtbWFzdGVyLWtleSE").expect("32 bytes")
}

/// A database of one's own, migrated, with partitions for [`FixedClock::start`]; gone with the value.
pub struct TestDatabase {
    server: &'static TestServer,
    name: String,
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl TestDatabase {
    /// Copies the template.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let server = shared();
        server.copy_database(template(server), &name);
        Self { server, name }
    }

    /// An empty database that is not migrated.
    pub fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("empty_{}", COUNT.fetch_add(1, Ordering::SeqCst));
        let server = shared();
        server.create_database(&name);
        Self { server, name }
    }

    /// Its address as servers log in.
    pub fn url(&self) -> String {
        self.server.server_url(&self.name)
    }

    /// Its address as the owner of the schema.
    pub fn owner_url(&self) -> String {
        self.server.owner_url(&self.name)
    }

    /// Its address as somebody whom row-level security does not hold.
    pub fn superuser_url(&self) -> String {
        self.server.superuser_url(&self.name)
    }

    /// A connection that row-level security does not hold, to look behind the wall.
    pub fn superuser(&self) -> PgConnection {
        let mut connection = PgConnection::establish(&self.superuser_url()).expect("a connection");
        connection
            .batch_execute("SET search_path = grantor; SET timezone = 'UTC'")
            .expect("settings");
        connection
    }

    /// Opens it as a server does.
    pub fn open(&self) -> Database {
        open(self.url())
    }

    /// The keyring of tests.
    pub fn keyring() -> Keyring {
        Keyring::new(master_key(), Vec::new())
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A test that has failed already is told of by that, and not by what it left running.
        if !std::thread::panicking() {
            self.server.drop_database(&self.name);
        }
    }
}

fn open(url: String) -> Database {
    Database::new(DatabaseOptions {
        url,
        pool_size: 8,
        deadline: Duration::from_secs(20),
        entropy: Arc::new(SeededEntropy::new(7)),
    })
}

fn template(server: &'static TestServer) -> &'static str {
    static TEMPLATE: OnceLock<&'static str> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = "grantor_template";
        server.create_database(name);
        migrate::up(&server.owner_url(name)).expect("migrations");
        server.admit_server_role(name);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let database = open(server.server_url(name));
        let kept = runtime
            .block_on(partitions::keep(&database, FixedClock::start()))
            .expect("partitions");
        assert!(kept.made > 0, "no partitions were made");
        drop(database);
        name
    })
}
