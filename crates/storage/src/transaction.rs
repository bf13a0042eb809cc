//! The kinds of transaction, as types.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use diesel::prelude::*;
use grantor_domain::audit::{Event, Events, Origin};
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, ResourceServerId, RoleId, TenantId};
use grantor_keys::Entropy;
use uuid::Uuid;

use crate::error::StorageError;
use crate::event_ids::EventIds;
use crate::schema::{clients, members, organizations, resource_servers, roles, tenants};

/// What a transaction may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One tenant.
    Tenant(TenantId),
    /// The tables of the platform and, where rows of a tenant are made or read besides, that tenant's.
    Platform(Option<TenantId>),
}

impl Scope {
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Tenant(_) => "grantor_tenant",
            Self::Platform(_) => "grantor_platform",
        }
    }

    pub(crate) fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::Platform(tenant) => tenant,
        }
    }
}

mod sealed {
    /// Lends the connection to this crate alone.
    pub trait Connected {
        #[doc(hidden)]
        fn connection(&mut self) -> &mut diesel::PgConnection;
    }
}
pub(crate) use sealed::Connected;

/// A transaction that can read configuration.
pub trait Reads: Connected {}

/// Reads, and writes nothing.
pub struct ReadTx<'c> {
    pub(crate) connection: &'c mut PgConnection,
}

impl Connected for ReadTx<'_> {
    fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }
}
impl Reads for ReadTx<'_> {}

/// Writes tokens and what else is its own record; can't reach configuration.
pub struct FlowTx<'c> {
    pub(crate) connection: &'c mut PgConnection,
}

/// Something whose revision a change raises, and which followers of the change feed hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Tenant(TenantId),
    Organization(OrganizationId),
    Member(MemberId),
    Client(ClientId),
    ResourceServer(ResourceServerId),
    Role(RoleId),
}

impl Subject {
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Tenant(id) => id.uuid(),
            Self::Organization(id) => id.uuid(),
            Self::Member(id) => id.uuid(),
            Self::Client(id) => id.uuid(),
            Self::ResourceServer(id) => id.uuid(),
            Self::Role(id) => id.uuid(),
        }
    }

    /// With the prefix that tells its kind.
    fn prefixed(self) -> String {
        match self {
            Self::Tenant(id) => id.to_string(),
            Self::Organization(id) => id.to_string(),
            Self::Member(id) => id.to_string(),
            Self::Client(id) => id.to_string(),
            Self::ResourceServer(id) => id.to_string(),
            Self::Role(id) => id.to_string(),
        }
    }
}

/// What a change came to.
#[derive(Debug)]
pub enum Change<T> {
    /// Something was written; here is the result, and what the log of record says of it.
    Made(T, Events),
    /// It was refused, and here is what the log of record says of that. Nothing may have been touched. Unlike
    /// what was made, it is committed in a rehearsal too: who was refused was refused.
    Refused(T, Events),
    /// Nothing was to be done. The transaction is rolled back, so nothing can have been written unsaid.
    Nothing(T),
    /// Nothing of the configuration was to be done. What was written besides is its own record, such as the answer
    /// that is kept for a retry, and is committed.
    Untouched(T),
}

impl<T> Change<T> {
    /// Something was written, and this is what the log of record says of it.
    pub fn made(result: T, events: impl Into<Events>) -> Self {
        Self::Made(result, events.into())
    }

    /// It was refused, and this is what the log of record says of it.
    pub fn refused(result: T, events: impl Into<Events>) -> Self {
        Self::Refused(result, events.into())
    }
}

/// Writes configuration.
pub struct ChangeTx<'c> {
    connection: &'c mut PgConnection,
    now: DateTime<Utc>,
    origin: Origin,
    entropy: &'c dyn Entropy,
    event_ids: &'c EventIds,
    rehearsal: bool,
    touched: BTreeMap<TenantId, BTreeSet<Subject>>,
    cuts: BTreeMap<TenantId, BTreeSet<Subject>>,
    further: Vec<Event>,
}

/// What the first event of a tenant says of the whole change: what it touched, and whom it cuts off.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) touched: Vec<Uuid>,
    pub(crate) subjects: Vec<String>,
    pub(crate) cuts: Vec<Uuid>,
}

impl Connected for ChangeTx<'_> {
    fn connection(&mut self) -> &mut PgConnection {
        self.connection
    }
}
impl Reads for ChangeTx<'_> {}

impl<'c> ChangeTx<'c> {
    pub(crate) fn new(
        connection: &'c mut PgConnection,
        now: DateTime<Utc>,
        origin: Origin,
        entropy: &'c dyn Entropy,
        event_ids: &'c EventIds,
        rehearsal: bool,
    ) -> Self {
        Self {
            connection,
            now,
            origin,
            entropy,
            event_ids,
            rehearsal,
            touched: BTreeMap::new(),
            cuts: BTreeMap::new(),
            further: Vec::new(),
        }
    }

    /// The time of the change.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Whether all of this will be rolled back in the end.
    pub fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    /// The randomness that ids are made from.
    pub(crate) fn entropy(&self) -> &'c dyn Entropy {
        self.entropy
    }

    /// A tenant of which something was touched, if there is one.
    pub(crate) fn touches(&self) -> Option<TenantId> {
        self.touched.keys().next().copied()
    }

    /// Who makes the change.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The only way to write what a decision can rest on: it names the subject that the write touches, raises
    /// its revision, once in a transaction, and puts it on the change feed.
    pub(crate) fn touching(
        &mut self,
        tenant: TenantId,
        subject: Subject,
    ) -> Result<&mut PgConnection, StorageError> {
        if self.touched.entry(tenant).or_default().insert(subject) {
            raise_revision(self.connection, tenant, subject, self.now)?;
        }
        Ok(self.connection)
    }

    /// The same of many clients at once, which are there.
    pub(crate) fn touching_clients(
        &mut self,
        tenant: TenantId,
        ids: &[ClientId],
    ) -> Result<&mut PgConnection, StorageError> {
        let new = self.about_to_touch(tenant, ids);
        raise_revisions_of_clients(self.connection, tenant, &new, self.now)?;
        Ok(self.connection)
    }

    /// The same where one statement writes all that there is to write, because a client stands in many indexes: it must
    /// raise the revisions of those that this tells, which were not touched before.
    pub(crate) fn about_to_touch(&mut self, tenant: TenantId, ids: &[ClientId]) -> Vec<Uuid> {
        let touched = self.touched.entry(tenant).or_default();
        ids.iter()
            .filter(|id| touched.insert(Subject::Client(**id)))
            .map(|id| id.uuid())
            .collect()
    }

    /// Puts a client on the change feed of which something is told that is no change of it: its revision stays.
    pub(crate) fn telling_of(&mut self, tenant: TenantId, client: ClientId) {
        let touched = self.touched.entry(tenant).or_default();
        touched.insert(Subject::Client(client));
    }

    /// What the log of record says besides of what this change has brought about by itself.
    pub(crate) fn also(&mut self, event: Event) {
        self.further.push(event);
    }

    /// Lets everything die that was issued to a subject before this change.
    pub(crate) fn cut_off(&mut self, tenant: TenantId, subject: Subject) {
        self.cuts.entry(tenant).or_default().insert(subject);
    }

    /// Writes the events. What was touched of a tenant stands with the first event of that tenant's log, and
    /// there must be one.
    pub(crate) fn record(mut self, events: &Events) -> Result<(), StorageError> {
        let mut touched = std::mem::take(&mut self.touched);
        let mut cuts = std::mem::take(&mut self.cuts);
        let further = std::mem::take(&mut self.further);
        let count = events.iter().count() + further.len();
        let ids = self.event_ids.draw(self.now, count, self.entropy)?;
        let mut all = Vec::with_capacity(count);
        for (id, event) in ids.into_iter().zip(events.iter().chain(&further)) {
            let touched = touched.remove(&event.tenant).unwrap_or_default();
            let cuts = cuts.remove(&event.tenant).unwrap_or_default();
            let reach = Reach {
                touched: touched.iter().map(|subject| subject.id()).collect(),
                subjects: touched.iter().map(|subject| subject.prefixed()).collect(),
                cuts: cuts.iter().map(|subject| subject.id()).collect(),
            };
            all.push((id, event, reach));
        }
        crate::audit_events::insert(self.connection, self.now, &self.origin, all)?;
        match touched.pop_first() {
            Some((tenant, _)) => Err(StorageError::Unsaid { tenant }),
            None => Ok(()),
        }
    }
}

fn raise_revisions_of_clients(
    connection: &mut PgConnection,
    tenant: TenantId,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    if ids.is_empty() {
        return Ok(());
    }
    diesel::update(clients::table)
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(ids))
        .set((
            clients::revision.eq(clients::revision + 1),
            clients::updated_at.eq(now),
        ))
        .execute(connection)?;
    Ok(())
}

fn raise_revision(
    connection: &mut PgConnection,
    tenant: TenantId,
    subject: Subject,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    macro_rules! raise {
        ($table:ident, $filter:expr) => {
            diesel::update($table::table.filter($filter))
                .set((
                    $table::revision.eq($table::revision + 1),
                    $table::updated_at.eq(now),
                ))
                .execute(connection)?
        };
    }
    let tenant = tenant.uuid();
    // A subject that is only being made has no row yet, so none may be found.
    match subject {
        Subject::Tenant(id) => raise!(tenants, tenants::id.eq(id.uuid())),
        Subject::Organization(id) => {
            raise!(
                organizations,
                organizations::tenant_id
                    .eq(tenant)
                    .and(organizations::id.eq(id.uuid()))
            )
        }
        Subject::Member(id) => {
            raise!(
                members,
                members::tenant_id.eq(tenant).and(members::id.eq(id.uuid()))
            )
        }
        Subject::Client(id) => {
            raise!(
                clients,
                clients::tenant_id.eq(tenant).and(clients::id.eq(id.uuid()))
            )
        }
        Subject::ResourceServer(id) => raise!(
            resource_servers,
            resource_servers::tenant_id
                .eq(tenant)
                .and(resource_servers::id.eq(id.uuid()))
        ),
        Subject::Role(id) => raise!(
            roles,
            roles::tenant_id.eq(tenant).and(roles::id.eq(id.uuid()))
        ),
    };
    Ok(())
}
