//! A database with tenants and clients in it, and questions to ask it from behind the wall.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::ids::{ClientId, TenantId, TypedId};
use grantor_domain::tenant::NewTenant;
use grantor_storage::{
    Change, ChangeTx, Database, DatabaseOptions, Scope, StorageError, clients, installation,
    tenants,
};
use grantor_test_support::{FixedClock, SeededEntropy, TestDatabase, builders};

/// The epoch of the installation.
pub(crate) const EPOCH: i64 = 42;

/// A database whose installation is made, and the way to it.
pub(crate) struct Fixture {
    pub(crate) database: Database,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) home: NewTenant,
    // Last: it is dropped when nobody is connected.
    pub(crate) test: TestDatabase,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(8, Duration::from_secs(20))
    }

    /// With so many connections and this deadline.
    pub(crate) fn with(pool_size: u32, deadline: Duration) -> Self {
        let test = TestDatabase::new();
        let entropy = Arc::new(SeededEntropy::new(3));
        let database = Database::new(DatabaseOptions {
            url: test.url(),
            pool_size,
            deadline,
            entropy: entropy.clone(),
        });
        let home = builders::tenant("Home", now(), entropy.as_ref());
        let made = home.clone();
        let fixture = Self {
            database,
            entropy,
            home,
            test,
        };
        fixture
            .change(Scope::Platform(Some(made.id)), move |tx| {
                installation::insert(tx, EPOCH, b"check")?;
                tenants::insert(tx, &made)?;
                Ok(Change::made((), about_tenant(made.id)))
            })
            .unwrap();
        fixture
    }

    /// Another way to the same database, with a deadline of its own.
    pub(crate) fn reopened(test: &TestDatabase, deadline: Duration) -> Database {
        Database::new(DatabaseOptions {
            url: test.url(),
            pool_size: 2,
            deadline,
            entropy: Arc::new(SeededEntropy::new(4)),
        })
    }

    pub(crate) fn id<T: TypedId>(&self) -> T {
        builders::id_at(now(), self.entropy.as_ref())
    }

    /// Makes a change and waits for it.
    pub(crate) fn change<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut ChangeTx<'_>) -> Result<Change<T>, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        wait_for(self.database.change(scope, builders::origin(), now(), work))
    }

    /// Makes a tenant.
    pub(crate) fn tenant(&self, name: &str) -> NewTenant {
        let tenant = builders::tenant(name, now(), self.entropy.as_ref());
        let made = tenant.clone();
        self.change(Scope::Platform(Some(tenant.id)), move |tx| {
            tenants::insert(tx, &made)?;
            Ok(Change::made((), about_tenant(made.id)))
        })
        .unwrap();
        tenant
    }

    /// Makes a client.
    pub(crate) fn client(&self, tenant: &NewTenant, name: &str) -> ClientId {
        let (id, tenant) = (self.id(), tenant.clone());
        let settings = builders::client(name, "orders.api:read");
        self.change(Scope::Tenant(tenant.id), move |tx| {
            clients::insert(
                tx,
                tenant.id,
                &builders::new_client(id, tenant.root_organization, &settings),
            )?;
            Ok(Change::made((), builders::client_event(tenant.id, id)))
        })
        .unwrap();
        id
    }

    /// Runs SQL as somebody whom nothing holds back.
    pub(crate) fn superuser_runs(&self, sql: &str) {
        self.test.superuser().batch_execute(sql).unwrap();
    }

    /// A number, seen from behind the wall.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        number(&mut self.test.superuser(), sql)
    }
}

/// The time of the tests that don't move it.
pub(crate) fn now() -> DateTime<Utc> {
    FixedClock::start()
}

/// What the log of record says of a tenant that was made.
pub(crate) fn about_tenant(tenant: TenantId) -> Events {
    Event::new(tenant, Action::TenantCreated, Target::Tenant(tenant)).into()
}

/// Runs a future to its end.
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Waits until something holds, for half a minute at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[derive(QueryableByName)]
struct OneText {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct OneNumber {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

/// The texts that a query gives, each row one column.
pub(crate) fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows: Vec<OneText> =
        diesel::sql_query(format!("SELECT value::text FROM ({sql}) AS given (value)"))
            .load(connection)
            .unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

/// The one number that a query gives.
pub(crate) fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    numbers(connection, sql)[0]
}

/// The numbers that a query gives.
pub(crate) fn numbers(connection: &mut PgConnection, sql: &str) -> Vec<i64> {
    let rows: Vec<OneNumber> = diesel::sql_query(format!(
        "SELECT value::bigint FROM ({sql}) AS given (value)"
    ))
    .load(connection)
    .unwrap();
    rows.into_iter().map(|row| row.value).collect()
}
