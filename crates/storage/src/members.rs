//! Members: the users of a tenant.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{MemberId, OrganizationId, TenantId};
use grantor_domain::member::{Member, MemberSettings, NewMember};
use grantor_domain::ownership::TransferCause;
use grantor_domain::text::{EmailAddress, PersonName};
use uuid::Uuid;

use crate::credential_links;
use crate::error::StorageError;
use crate::ownership;
use crate::schema::{member_words, members, suspensions, tenants};
use crate::stored;
use crate::suspensions::{SuspensionRow, mark_deleted};
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

#[derive(Queryable, Selectable)]
#[diesel(table_name = members)]
pub(crate) struct MemberRow {
    id: Uuid,
    name: String,
    email: String,
    organization_id: Uuid,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl MemberRow {
    pub(crate) fn into_domain(
        self,
        suspension: Option<SuspensionRow>,
    ) -> Result<Member, StorageError> {
        Ok(Member {
            id: MemberId::from_uuid(self.id),
            settings: MemberSettings {
                name: stored::parsed("member's name", &self.name, PersonName::parse)?,
                email: stored::parsed("member's address", &self.email, EmailAddress::parse)?,
                organization: OrganizationId::from_uuid(self.organization_id),
            },
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
            suspension: suspension.unwrap_or_default().into_domain()?,
        })
    }
}

/// Makes a member. In their tenant, nobody may have the same address.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: &NewMember,
) -> Result<(), StorageError> {
    let now = tx.now();
    let settings = &member.settings;
    let connection = tx.touching(tenant, Subject::Member(member.id))?;
    diesel::insert_into(members::table)
        .values((
            members::tenant_id.eq(tenant.uuid()),
            members::id.eq(member.id.uuid()),
            members::name.eq(settings.name.as_str()),
            members::email.eq(settings.email.as_str()),
            members::email_key.eq(settings.email.key()),
            members::organization_id.eq(settings.organization.uuid()),
            members::created_at.eq(now),
            members::updated_at.eq(now),
        ))
        .execute(connection)?;
    add_words(connection, tenant, member.id, &settings.words())
}

fn add_words(
    connection: &mut PgConnection,
    tenant: TenantId,
    member: MemberId,
    words: &BTreeSet<String>,
) -> Result<(), StorageError> {
    let rows: Vec<_> = words
        .iter()
        .map(|word| {
            (
                member_words::tenant_id.eq(tenant.uuid()),
                member_words::word.eq(word),
                member_words::member_id.eq(member.uuid()),
            )
        })
        .collect();
    diesel::insert_into(member_words::table)
        .values(rows)
        .execute(connection)?;
    Ok(())
}

/// Writes all that can be set of a member; tells whether they are there. Whoever leaves the root organization owns
/// nothing any more.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: MemberId,
    settings: &MemberSettings,
) -> Result<bool, StorageError> {
    // Locked by it, before anybody asks what they own.
    tx.touching(tenant, Subject::Member(id))?;
    if leaves_the_root(tx, tenant, id, settings)? {
        ownership::release(tx, tenant, id, TransferCause::OwnerLeft)?;
    }
    let connection = tx.touching(tenant, Subject::Member(id))?;
    let updated = diesel::update(members::table.find((tenant.uuid(), id.uuid())))
        .set((
            members::name.eq(settings.name.as_str()),
            members::email.eq(settings.email.as_str()),
            members::email_key.eq(settings.email.key()),
            members::organization_id.eq(settings.organization.uuid()),
        ))
        .execute(connection)?;
    if updated == 0 {
        return Ok(false);
    }
    diesel::delete(member_words::table)
        .filter(member_words::tenant_id.eq(tenant.uuid()))
        .filter(member_words::member_id.eq(id.uuid()))
        .execute(connection)?;
    add_words(connection, tenant, id, &settings.words())?;
    Ok(true)
}

fn leaves_the_root(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: MemberId,
    settings: &MemberSettings,
) -> Result<bool, StorageError> {
    let home: Option<(Uuid, Uuid)> = members::table
        .inner_join(tenants::table.on(tenants::id.eq(members::tenant_id)))
        .filter(members::tenant_id.eq(tenant.uuid()))
        .filter(members::id.eq(id.uuid()))
        .select((members::organization_id, tenants::root_organization_id))
        .first(tx.connection())
        .optional()?;
    Ok(home.is_some_and(|(lived, root)| lived == root && settings.organization.uuid() != root))
}

/// Deletes a member with all that hangs on them, for good, and leaves the mark through which their tokens are
/// dead; tells whether they were there. What they owned is the root owner's.
pub fn delete(tx: &mut ChangeTx<'_>, tenant: TenantId, id: MemberId) -> Result<bool, StorageError> {
    // Locked by it, before anybody asks what they own.
    tx.touching(tenant, Subject::Member(id))?;
    ownership::release(tx, tenant, id, TransferCause::OwnerDeleted)?;
    mark_deleted(tx, tenant, Subject::Member(id))?;
    // With a link goes the address that it was made for.
    credential_links::revoke_all(tx, tenant, id)?;
    let deleted = diesel::delete(members::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, Subject::Member(id))?)?;
    Ok(deleted == 1)
}

/// Reads one member.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: MemberId,
) -> Result<Option<Member>, StorageError> {
    members::table
        .left_join(
            suspensions::table.on(suspensions::tenant_id
                .eq(members::tenant_id)
                .and(suspensions::subject_id.eq(members::id))),
        )
        .filter(members::tenant_id.eq(tenant.uuid()))
        .filter(members::id.eq(id.uuid()))
        .select((MemberRow::as_select(), Option::<SuspensionRow>::as_select()))
        .first::<(MemberRow, Option<SuspensionRow>)>(tx.connection())
        .optional()?
        .map(|(member, suspension)| member.into_domain(suspension))
        .transpose()
}

/// Reads one member and keeps others from changing them until this change has ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: MemberId,
) -> Result<Option<Member>, StorageError> {
    let locked: Option<Uuid> = members::table
        .find((tenant.uuid(), id.uuid()))
        .select(members::id)
        .for_no_key_update()
        .first(tx.connection())
        .optional()?;
    // Read after the lock was had: so it is what the change before this one left.
    match locked {
        Some(_) => find(tx, tenant, id),
        None => Ok(None),
    }
}
