//! Who calls the management API: all that the check of a bearer token rests on, for many tokens at once.
//!
//! One statement reads it, so that it is of one snapshot. It runs on the fast path, for tokens of any
//! tenants together, and each of its joins names the tenant.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::{AsSelect, Nullable};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::{ClientId, OrganizationId, TenantId, TokenId};
use grantor_domain::ip_rule::IpRules;
use grantor_domain::role::{HeldRole, HomeTenant};
use grantor_domain::suspension::Suspension;
use grantor_protocol::scope::Scopes;
use uuid::Uuid;

use crate::clients::ip_rules;
use crate::error::StorageError;
use crate::role_assignments;
use crate::schema::{clients, installation, tenants};
use crate::stored;
use crate::suspensions::{SuspensionRow, TenantSuspensionRow};
use crate::tokens::{RecordedToken, TokenRow};
use crate::transaction::FlowTx;

/// Where the record of a token would be, by what the token says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    /// The tenant whose it is.
    pub tenant: TenantId,
    /// The client that got it.
    pub client: ClientId,
    /// Its id.
    pub id: TokenId,
}

/// A token as it stands on record, with all that its holder's rights hang on.
#[derive(Debug)]
pub struct CallerRecord {
    /// The token, the epoch, and what suspends its client.
    pub recorded: RecordedToken,
    /// What suspends its tenant.
    pub tenant_suspension: Suspension,
    /// The scopes that its client is allowed now; none when the client is gone.
    pub allowed_now: Scopes,
    /// From where its client may come.
    pub allowed_ips: IpRules,
    /// How far roles reach in its tenant.
    pub home: HomeTenant,
    /// The roles of whoever acts by it: of the member for whom it was issued, or else of its client.
    pub roles: Vec<HeldRole>,
}

/// Reads the records of those of the keys that have one, in one snapshot.
pub fn find(
    tx: &mut FlowTx<'_>,
    keys: &[TokenKey],
) -> Result<HashMap<TokenKey, CallerRecord>, StorageError> {
    Asked::new(keys)
        .load::<CallerRow>(tx.connection)?
        .into_iter()
        .map(|row| {
            let record = row.into_domain()?;
            let token = &record.recorded.token;
            let key = TokenKey {
                tenant: token.tenant,
                client: token.client,
                id: token.id,
            };
            Ok((key, record))
        })
        .collect()
}

/// The columns that are asked for by their names. The member's suspension follows, and the roles in three arrays;
/// in the last, the permissions of a role of the tenant's own stand as one text, with blanks between.
type Columns = (
    AsSelect<TokenRow, Pg>,
    AsSelect<Option<SuspensionRow>, Pg>,
    AsSelect<Option<TenantSuspensionRow>, Pg>,
    installation::epoch,
    tenants::is_platform,
    tenants::root_organization_id,
    Nullable<clients::allowed_scopes>,
    Nullable<clients::allowed_ips>,
);

#[derive(Queryable)]
struct CallerRow {
    token: TokenRow,
    client_suspension: Option<SuspensionRow>,
    tenant_suspension: Option<TenantSuspensionRow>,
    epoch: i64,
    is_platform: bool,
    root_organization: Uuid,
    allowed_scopes: Option<Vec<String>>,
    allowed_ips: Option<Vec<String>>,
    member_paused_by_tenant_at: Option<DateTime<Utc>>,
    member_paused_by_operator_at: Option<DateTime<Utc>>,
    member_deleted_at: Option<DateTime<Utc>>,
    member_cut_below: Option<i64>,
    roles: Vec<String>,
    role_organizations: Vec<Uuid>,
    role_permissions: Vec<String>,
}

impl CallerRow {
    fn into_domain(self) -> Result<CallerRecord, StorageError> {
        let (token, hash) = self.token.into_domain()?;
        let roles = self
            .roles
            .iter()
            .zip(&self.role_permissions)
            .zip(self.role_organizations)
            .map(|((role, permissions), organization)| {
                Ok(HeldRole {
                    role: role_assignments::role(role, permissions.split_ascii_whitespace())?,
                    organization: OrganizationId::from_uuid(organization),
                })
            })
            .collect::<Result<_, StorageError>>()?;
        let member_suspension = Suspension {
            by_tenant: stored::pause(self.member_paused_by_tenant_at, None)?,
            by_operator: stored::pause(self.member_paused_by_operator_at, None)?,
            deleted_at: self.member_deleted_at,
            cut_below: self.member_cut_below.unwrap_or_default(),
        };
        Ok(CallerRecord {
            recorded: RecordedToken {
                token,
                hash,
                client_suspension: self.client_suspension.unwrap_or_default().into_domain()?,
                member_suspension,
                epoch: self.epoch,
            },
            tenant_suspension: self.tenant_suspension.unwrap_or_default().into_domain()?,
            allowed_now: stored::scopes(&self.allowed_scopes.unwrap_or_default())?,
            allowed_ips: ip_rules(&self.allowed_ips.unwrap_or_default())?,
            home: HomeTenant {
                root: OrganizationId::from_uuid(self.root_organization),
                is_platform: self.is_platform,
            },
            roles,
        })
    }
}

/// The statement. Its text never differs, so that PostgreSQL plans it once for each connection: planning a
/// look into the partitions takes longer than the look.
struct Asked {
    columns: Columns,
    tenants: Vec<Uuid>,
    clients: Vec<Uuid>,
    ids: Vec<Uuid>,
}

impl Asked {
    fn new(keys: &[TokenKey]) -> Self {
        Self {
            columns: (
                TokenRow::as_select(),
                Option::<SuspensionRow>::as_select(),
                Option::<TenantSuspensionRow>::as_select(),
                installation::epoch,
                tenants::is_platform,
                tenants::root_organization_id,
                clients::allowed_scopes.nullable(),
                clients::allowed_ips.nullable(),
            ),
            tenants: keys.iter().map(|key| key.tenant.uuid()).collect(),
            clients: keys.iter().map(|key| key.client.uuid()).collect(),
            ids: keys.iter().map(|key| key.id.uuid()).collect(),
        }
    }
}

impl QueryId for Asked {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Asked {
    type SqlType = (
        AsSelect<TokenRow, Pg>,
        AsSelect<Option<SuspensionRow>, Pg>,
        AsSelect<Option<TenantSuspensionRow>, Pg>,
        diesel::sql_types::BigInt,
        diesel::sql_types::Bool,
        SqlUuid,
        diesel::sql_types::Nullable<Array<Text>>,
        diesel::sql_types::Nullable<Array<Text>>,
        diesel::sql_types::Nullable<Timestamptz>,
        diesel::sql_types::Nullable<Timestamptz>,
        diesel::sql_types::Nullable<Timestamptz>,
        diesel::sql_types::Nullable<BigInt>,
        Array<Text>,
        Array<SqlUuid>,
        Array<Text>,
    );
}

impl RunQueryDsl<PgConnection> for Asked {}

impl QueryFragment<Pg> for Asked {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(", of_member.paused_by_tenant_at, of_member.paused_by_operator_at, of_member.deleted_at, \
             of_member.cut_below, held.roles, held.organizations, held.permissions FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.tenants)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.clients)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        // LIMIT keeps the planner from merging the look for a token with the rest: it is a look by primary
        // key into one partition for each key, however small the tables were when the plan was made.
        out.push_sql(
            ") AS asked (tenant_id, client_id, id) \
             CROSS JOIN LATERAL (SELECT * FROM access_tokens AS token WHERE token.tenant_id = asked.tenant_id \
               AND token.client_id = asked.client_id AND token.id = asked.id LIMIT 1) AS access_tokens \
             JOIN tenants ON tenants.id = asked.tenant_id \
             CROSS JOIN installation \
             LEFT JOIN tenant_suspensions ON tenant_suspensions.tenant_id = asked.tenant_id \
             LEFT JOIN suspensions ON suspensions.tenant_id = asked.tenant_id \
               AND suspensions.subject_id = asked.client_id \
             LEFT JOIN clients ON clients.tenant_id = asked.tenant_id AND clients.id = asked.client_id \
             LEFT JOIN suspensions AS of_member ON of_member.tenant_id = asked.tenant_id \
               AND of_member.subject_id = access_tokens.member_id \
             CROSS JOIN LATERAL (SELECT coalesce(array_agg(role), '{}') AS roles, \
                 coalesce(array_agg(organization_id), '{}') AS organizations, \
                 coalesce(array_agg(coalesce(array_to_string(roles.permissions, ' '), '')), '{}') AS permissions \
               FROM (SELECT role, role_id, organization_id FROM role_assignments \
                   WHERE role_assignments.tenant_id = asked.tenant_id \
                     AND role_assignments.client_id = asked.client_id AND access_tokens.member_id IS NULL \
                   UNION ALL SELECT role, role_id, organization_id FROM role_assignments \
                   WHERE role_assignments.tenant_id = asked.tenant_id \
                     AND role_assignments.member_id = access_tokens.member_id) AS assigned \
               LEFT JOIN roles ON roles.tenant_id = asked.tenant_id AND roles.id = assigned.role_id) AS held",
        );
        Ok(())
    }
}
