//! Families of refresh tokens. They are written on the fast path alone.
//!
//! Single use is one conditional UPDATE of the family's row, and its row count decides. Whoever gets the row, to rotate or
//! to repeat, holds it until the transaction ends; so does whoever ends the family. An access token of the family that is
//! put on record in the same transaction is therefore there before an end looks for it, or is never made.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, MemberId, RefreshFamilyId, TenantId};
use grantor_domain::refresh::{
    FamilyEnd, FamilyState, FamilySurroundings, Generation, RefreshDecision, RefreshFamily,
    RefreshOutcome, RefreshRequest, decide_refresh,
};
use grantor_domain::suspension::Position;
use grantor_keys::{Entropy, uuid_v7, uuid_v7_millis};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{access_tokens, installation, refresh_families, tenant_suspensions};
use crate::stored;
use crate::suspensions::{self, TenantSuspensionRow};
use crate::transaction::FlowTx;

/// How often somebody decides anew who was overtaken each time. Each time somebody else came further.
const ATTEMPTS: u32 = 5;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_families)]
struct FamilyRow {
    tenant_id: Uuid,
    id: Uuid,
    client_id: Uuid,
    member_id: Uuid,
    scopes: Vec<String>,
    generation: i64,
    rotated_at: DateTime<Utc>,
    idle_seconds: Option<i32>,
    epoch: i64,
    decided_at: i64,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    ended_why: Option<String>,
}

/// Makes the id of a family that is over at this time.
pub fn new_id(
    expires_at: DateTime<Utc>,
    entropy: &dyn Entropy,
) -> Result<RefreshFamilyId, StorageError> {
    let millis = u64::try_from(expires_at.timestamp_millis()).unwrap_or_default();
    Ok(RefreshFamilyId::from_uuid(uuid_v7(millis, entropy)?))
}

impl FamilyRow {
    fn into_domain(self) -> Result<RefreshFamily, StorageError> {
        let state = match (self.ended_at, self.ended_why) {
            (Some(at), Some(why)) => FamilyState::Dead {
                at,
                why: stored::word("end of a family", &why, FamilyEnd::parse)?,
            },
            _ => FamilyState::Live {
                current: generation(self.generation)?,
                since: self.rotated_at,
            },
        };
        let millis = i64::try_from(uuid_v7_millis(self.id)).ok();
        let expires_at = millis
            .and_then(DateTime::from_timestamp_millis)
            .ok_or_else(|| StorageError::corrupt("family id", self.id.to_string()))?;
        Ok(RefreshFamily {
            tenant: TenantId::from_uuid(self.tenant_id),
            id: RefreshFamilyId::from_uuid(self.id),
            client: ClientId::from_uuid(self.client_id),
            member: MemberId::from_uuid(self.member_id),
            scopes: stored::scopes(&self.scopes)?,
            state,
            expires_at,
            idle: self
                .idle_seconds
                .map(|seconds| TimeDelta::seconds(seconds.into())),
            position: Position {
                epoch: self.epoch,
                sequence: self.decided_at,
            },
        })
    }
}

fn generation(stored: i64) -> Result<Generation, StorageError> {
    u32::try_from(stored)
        .map(Generation::new)
        .map_err(|_| StorageError::corrupt("generation", stored.to_string()))
}

/// Puts a new family on record, whose first token is current from `now` on.
pub fn insert(
    tx: &mut FlowTx<'_>,
    family: &RefreshFamily,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let idle = family
        .idle
        .map(|idle| i32::try_from(idle.num_seconds()).unwrap_or(i32::MAX));
    diesel::insert_into(refresh_families::table)
        .values(FamilyRow {
            tenant_id: family.tenant.uuid(),
            id: family.id.uuid(),
            client_id: family.client.uuid(),
            member_id: family.member.uuid(),
            scopes: family.scopes.to_vec(),
            generation: Generation::FIRST.number().into(),
            rotated_at: now,
            idle_seconds: idle,
            epoch: family.position.epoch,
            decided_at: family.position.sequence,
            created_at: now,
            ended_at: None,
            ended_why: None,
        })
        .execute(tx.connection)?;
    Ok(())
}

/// A family, and what came of the token that was presented.
#[derive(Debug)]
pub struct Redeemed {
    /// The family as it was when it was decided upon.
    pub family: RefreshFamily,
    /// The decision, which is written.
    pub decision: RefreshDecision,
}

/// Decides upon a refresh token and writes what comes of it: the rotation, or the end of the family. The transaction is to
/// be committed whatever the client is told; and the access token goes on record in it. None, if there is no such family.
pub fn redeem(
    tx: &mut FlowTx<'_>,
    tenant: TenantId,
    id: RefreshFamilyId,
    request: &RefreshRequest,
    now: DateTime<Utc>,
) -> Result<Option<Redeemed>, StorageError> {
    for _ in 0..ATTEMPTS {
        let Some(family) = find(tx, tenant, id)? else {
            return Ok(None);
        };
        let decision = decide(tx, &family, request, now)?;
        let written = match &decision.outcome {
            RefreshOutcome::Rotate { from, .. } => rotate(tx, &family, *from, now)?,
            RefreshOutcome::Repeat { current, .. } => hold(tx, &family, *current)?,
            RefreshOutcome::End => {
                end(tx, &family, FamilyEnd::Replayed, now)?;
                true
            }
            RefreshOutcome::Refuse => true,
        };
        if written {
            return Ok(Some(Redeemed { family, decision }));
        }
    }
    let busy = "a refresh token is redeemed by too many at once".to_owned();
    Err(StorageError::Unavailable(busy))
}

/// Finds a family.
pub fn find(
    tx: &mut FlowTx<'_>,
    tenant: TenantId,
    id: RefreshFamilyId,
) -> Result<Option<RefreshFamily>, StorageError> {
    refresh_families::table
        .find((tenant.uuid(), id.uuid()))
        .select(FamilyRow::as_select())
        .first(tx.connection)
        .optional()?
        .map(FamilyRow::into_domain)
        .transpose()
}

fn decide(
    tx: &mut FlowTx<'_>,
    family: &RefreshFamily,
    request: &RefreshRequest,
    now: DateTime<Utc>,
) -> Result<RefreshDecision, StorageError> {
    let epoch: i64 = installation::table
        .select(installation::epoch)
        .first(tx.connection)?;
    let tenant = tenant_suspensions::table
        .find(family.tenant.uuid())
        .select(TenantSuspensionRow::as_select())
        .first(tx.connection)
        .optional()?
        .unwrap_or_default()
        .into_domain()?;
    let client = suspensions::of_subject(tx.connection, family.tenant, family.client.uuid())?;
    let member = suspensions::of_subject(tx.connection, family.tenant, family.member.uuid())?;
    let around = FamilySurroundings {
        epoch,
        tenant: &tenant,
        client: &client,
        member: &member,
    };
    Ok(decide_refresh(family, request, &around, now))
}

/// Makes the next generation current, if this one still is; tells whether it was.
fn rotate(
    tx: &mut FlowTx<'_>,
    family: &RefreshFamily,
    from: Generation,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let rotated =
        diesel::update(refresh_families::table.find((family.tenant.uuid(), family.id.uuid())))
            .filter(refresh_families::generation.eq(i64::from(from.number())))
            .filter(refresh_families::ended_at.is_null())
            .set((
                refresh_families::generation.eq(i64::from(from.next().number())),
                refresh_families::rotated_at.eq(now),
            ))
            .execute(tx.connection)?;
    Ok(rotated == 1)
}

/// Keeps the family as it is until the transaction ends, if this generation still is current; tells whether it was.
fn hold(
    tx: &mut FlowTx<'_>,
    family: &RefreshFamily,
    current: Generation,
) -> Result<bool, StorageError> {
    let held: Option<Uuid> = refresh_families::table
        .find((family.tenant.uuid(), family.id.uuid()))
        .filter(refresh_families::generation.eq(i64::from(current.number())))
        .filter(refresh_families::ended_at.is_null())
        .select(refresh_families::id)
        .for_share()
        .first(tx.connection)
        .optional()?;
    Ok(held.is_some())
}

/// Ends a family and revokes its access tokens, for good; tells whether this call did it.
pub fn end(
    tx: &mut FlowTx<'_>,
    family: &RefreshFamily,
    why: FamilyEnd,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let ended =
        diesel::update(refresh_families::table.find((family.tenant.uuid(), family.id.uuid())))
            .filter(refresh_families::ended_at.is_null())
            .set((
                refresh_families::ended_at.eq(now),
                refresh_families::ended_why.eq(why.as_str()),
            ))
            .execute(tx.connection)?;
    // What has expired needs no end, and its partition may be about to go.
    diesel::update(access_tokens::table)
        .filter(access_tokens::tenant_id.eq(family.tenant.uuid()))
        .filter(access_tokens::family_id.eq(family.id.uuid()))
        .filter(access_tokens::id.ge(stored::lowest_id(now.timestamp_millis())))
        .filter(access_tokens::revoked_at.is_null())
        .set(access_tokens::revoked_at.eq(now))
        .execute(tx.connection)?;
    Ok(ended == 1)
}
