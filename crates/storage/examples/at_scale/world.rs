//! A small and a large tenant in a large installation, two more with few and many clients, and a small installation beside.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{
    ClientId, MemberId, OrganizationId, RoleAssignmentId, RoleId, SecretId, TenantId, TokenId,
};
use grantor_domain::own_role::{OwnRoleName, OwnRoleSettings};
use grantor_domain::permission::Permission;
use grantor_domain::role::{HeldRole, Role};
use grantor_domain::suspension::Position;
use grantor_domain::text::Description;
use grantor_domain::token::AccessToken;
use grantor_keys::TokenHash;
use grantor_protocol::scope::Scopes;
use grantor_storage::callers::TokenKey;
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{
    Change, ChangeTx, Database, DatabaseOptions, FlowTx, ReadTx, Scope, StorageError, clients,
    roles, tokens,
};
use grantor_test_support::{FixedClock, SeededEntropy, TestDatabase, builders};
use uuid::Uuid;

/// Which of two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
}

/// A tenant, and how much of what it has.
#[derive(Clone, Copy)]
pub(crate) struct Filled {
    number: u32,
    pub(crate) id: TenantId,
    pub(crate) client: ClientId,
    pub(crate) organizations: u32,
    pub(crate) members: u32,
    pub(crate) clients: u32,
}

/// In how many organizations the first member has a role.
pub(crate) const ROLES: u32 = 50;

impl Filled {
    fn new(number: u32, organizations: u32, members: u32) -> Self {
        Self {
            number,
            id: TenantId::from_uuid(id_of(1, 0, number)),
            client: ClientId::from_uuid(id_of(5, number, 1)),
            organizations,
            members,
            clients: 1,
        }
    }

    /// One that has so many clients.
    fn with_clients(number: u32, clients: u32) -> Self {
        Self {
            clients,
            ..Self::new(number, 1_000, 1_000)
        }
    }

    /// The organization of this number; 1 is the root.
    pub(crate) fn organization(&self, number: u32) -> OrganizationId {
        OrganizationId::from_uuid(id_of(2, self.number, number))
    }

    /// The member of this number.
    pub(crate) fn member(&self, number: u32) -> MemberId {
        MemberId::from_uuid(id_of(3, self.number, number))
    }

    /// The client of this number.
    pub(crate) fn client(&self, number: u32) -> ClientId {
        ClientId::from_uuid(id_of(5, self.number, number))
    }

    /// The secret that the client of this number has, if it has one.
    pub(crate) fn secret(&self, number: u32) -> SecretId {
        SecretId::from_uuid(id_of(6, self.number, number))
    }

    /// A token that the client has for a member.
    pub(crate) fn token(&self, member: u32) -> TokenKey {
        let expiry = FixedClock::start() + chrono::TimeDelta::minutes(10);
        let millis = u128::try_from(expiry.timestamp_millis()).unwrap();
        let id = Uuid::from_u128(millis << 80 | 7 << 76 | 8 << 60 | u128::from(member));
        TokenKey {
            tenant: self.id,
            client: self.client,
            id: TokenId::from_uuid(id),
        }
    }
}

/// The id that `fill.sql` gives.
fn id_of(kind: u32, tenant: u32, number: u32) -> Uuid {
    let millis = 1_735_689_600_000 + u128::from(number) * 1_000;
    Uuid::from_u128(
        millis << 80
            | 7 << 76
            | u128::from(kind) << 64
            | 8 << 60
            | u128::from(tenant) << 28
            | u128::from(number),
    )
}

/// How many tenants an installation has.
const TENANTS: [u32; 2] = [100, 10_000];

pub(crate) struct World {
    runtime: tokio::runtime::Runtime,
    databases: [Database; 2],
    tenants: [Filled; 2],
    of_clients: [Filled; 2],
    // Last: they are dropped when nobody is connected.
    tests: [TestDatabase; 2],
}

impl World {
    /// A world that is measured; filling in a million clients takes some minutes, so it is done where they are.
    pub(crate) fn new(with_clients: bool) -> Self {
        let tests = [TestDatabase::new(), TestDatabase::new()];
        let databases = [0, 1].map(|place| {
            Database::new(DatabaseOptions {
                url: tests[place].url(),
                // One connection: so each statement is planned as often as on any.
                pool_size: 1,
                deadline: Duration::from_secs(60),
                entropy: Arc::new(SeededEntropy::new(9)),
            })
        });
        let tenants = [
            Filled::new(5_050, 10, 100),
            Filled::new(5_060, 1_000, 100_000),
        ];
        let of_clients = [
            Filled::with_clients(5_070, 1_000),
            Filled::with_clients(5_080, 1_000_000),
        ];
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let world = Self {
            runtime: builder.enable_all().build().unwrap(),
            databases,
            tenants,
            of_clients,
            tests,
        };
        for (place, many) in TENANTS.into_iter().enumerate() {
            let fill = include_str!("fill.sql");
            let mut superuser = world.tests[place].superuser();
            superuser
                .batch_execute(&format!(
                    "{fill}; INSERT INTO installation VALUES (true, 42, 'check', now()); \
                     SELECT pg_temp.fill_installation({many})"
                ))
                .unwrap();
            if place == 1 {
                for (size, assignments) in [(Size::Small, 20), (Size::Large, 20_000)] {
                    let Filled {
                        number,
                        organizations,
                        members,
                        ..
                    } = *world.tenant(size);
                    superuser
                        .batch_execute(&format!(
                            "SELECT pg_temp.fill_tree({number}, {organizations}); \
                             SELECT pg_temp.fill_members({number}, {organizations}, {members}); \
                             SELECT pg_temp.fill_roles({number}, {organizations}, {assignments})"
                        ))
                        .unwrap();
                    world.give_roles_and_tokens(*world.tenant(size));
                }
                if with_clients {
                    world.fill_clients(&mut superuser);
                }
            }
            // As the database does by itself after so much was written.
            superuser.batch_execute("VACUUM ANALYZE").unwrap();
        }
        world
    }

    fn fill_clients(&self, superuser: &mut PgConnection) {
        #[derive(QueryableByName)]
        struct Index {
            #[diesel(sql_type = Text)]
            name: String,
            #[diesel(sql_type = Text)]
            definition: String,
        }
        // An index is made faster than it is kept.
        let indexes: Vec<Index> = diesel::sql_query(
            "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index \
             WHERE indrelid IN ('clients'::regclass, 'client_words'::regclass) AND NOT indisprimary",
        )
        .load(superuser)
        .unwrap();
        let dropped: Vec<String> = indexes
            .iter()
            .map(|index| format!("DROP INDEX {}", index.name))
            .collect();
        let made: Vec<&str> = indexes
            .iter()
            .map(|index| index.definition.as_str())
            .collect();
        let expiry = FixedClock::start() + chrono::TimeDelta::minutes(10);
        let filled = self.of_clients.map(|tenant| {
            let Filled {
                number,
                organizations,
                members,
                clients,
                ..
            } = tenant;
            format!(
                "SELECT pg_temp.fill_tree({number}, {organizations}); \
                 SELECT pg_temp.fill_members({number}, {organizations}, {members}); \
                 SET session_replication_role = replica; \
                 SELECT pg_temp.fill_clients({number}, {organizations}, {members}, {clients}); \
                 SELECT pg_temp.fill_secrets({number}, {organizations}, {clients}); \
                 SELECT pg_temp.fill_tokens({number}, {clients}, '{expiry}'); \
                 RESET session_replication_role"
            )
        });
        superuser
            .batch_execute(&format!(
                "SET maintenance_work_mem = '256MB'; {}; {}; {}; {}",
                include_str!("fill_clients.sql"),
                dropped.join("; "),
                filled.join("; "),
                made.join("; "),
            ))
            .unwrap();
    }

    /// The first member has a role of the tenant's own in many organizations, as many as there are; the second has one.
    fn give_roles_and_tokens(&self, tenant: Filled) {
        let at = move |kind, number| id_of(kind, tenant.number, number);
        let role = RoleId::from_uuid(at(7, 1));
        let settings = OwnRoleSettings {
            name: OwnRoleName::parse("Reader").unwrap(),
            description: Description::parse("").unwrap(),
            permissions: [Permission::MembersRead].into(),
        };
        self.change(tenant.id, move |tx| {
            let client = builders::client("Console", "grantor:members.read");
            clients::insert(
                tx,
                tenant.id,
                &builders::new_client(tenant.client, tenant.organization(1), &client),
            )?;
            roles::insert(tx, tenant.id, role, &settings)?;
            let role = Role::Own {
                id: role,
                permissions: settings.permissions,
            };
            for (member, many) in [(1, ROLES.min(tenant.organizations)), (2, 1)] {
                for number in 1..=many {
                    let id = RoleAssignmentId::from_uuid(at(4, 900_000 + member * 1_000 + number));
                    let held = HeldRole::new(role.clone(), tenant.organization(number));
                    let holder = Holder::Member(tenant.member(member));
                    role_assignments::insert(tx, tenant.id, id, holder, &held)?;
                }
            }
            Ok(())
        });
        for member in [1, 2] {
            let key = tenant.token(member);
            let token = AccessToken {
                tenant: key.tenant,
                client: key.client,
                id: key.id,
                member: Some(tenant.member(member)),
                scopes: Scopes::parse("grantor:members.read").unwrap(),
                audiences: Vec::new(),
                issued_at: FixedClock::start(),
                expires_at: FixedClock::start(),
                revoked_at: None,
                position: Position {
                    epoch: 42,
                    sequence: i64::MAX,
                },
                ip: None,
            };
            self.flow(move |tx| tokens::insert(tx, &token, TokenHash::of("t")));
        }
    }

    pub(crate) fn tenant(&self, size: Size) -> &Filled {
        &self.tenants[size as usize]
    }

    /// The tenant that has few or many clients.
    pub(crate) fn of_clients(&self, size: Size) -> &Filled {
        &self.of_clients[size as usize]
    }

    /// Reads in a tenant.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let read = self.databases[1].read(Scope::Tenant(tenant), work);
        self.runtime.block_on(read).unwrap()
    }

    /// Reads as an operator of a small or a large installation.
    pub(crate) fn read_platform<T: Send + 'static>(
        &self,
        size: Size,
        work: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let read = self.databases[size as usize].read(Scope::Platform(None), work);
        self.runtime.block_on(read).unwrap()
    }

    /// Changes something in a tenant.
    pub(crate) fn change<T: Send + 'static>(
        &self,
        tenant: TenantId,
        work: impl FnOnce(&mut ChangeTx<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let event = Event::new(tenant, Action::TenantUpdated, Target::Tenant(tenant));
        let change = self.databases[1].change(
            Scope::Tenant(tenant),
            builders::origin(),
            FixedClock::start(),
            move |tx| Ok::<_, StorageError>(Change::made(work(tx)?, event)),
        );
        self.runtime.block_on(change).unwrap()
    }

    /// On the fast path.
    pub(crate) fn flow<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut FlowTx<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        self.runtime.block_on(self.databases[1].flow(work)).unwrap()
    }

    /// The number of a tenant at this part of an installation, in hundredths.
    pub(crate) fn tenant_at(size: Size, hundredth: u32) -> (String, TenantId) {
        let number = TENANTS[size as usize] * hundredth / 100;
        let id = TenantId::from_uuid(id_of(1, 0, number));
        (format!("Tenant {number:05}"), id)
    }
}
