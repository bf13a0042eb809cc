//! Access tokens: found, checked and ended. Whatever runs on the fast path names the tenant; they are put on record by
//! `token_writing.rs`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, MemberId, TenantId, TokenId};
use grantor_domain::suspension::{Position, Suspension};
use grantor_domain::token::AccessToken;
use grantor_keys::{TokenHash, uuid_v7_millis};
use uuid::Uuid;

use crate::error::StorageError;
use crate::installation;
use crate::schema::access_tokens;
use crate::stored;
use crate::suspensions;
use crate::transaction::{FlowTx, Reads};

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = access_tokens)]
pub(crate) struct TokenRow {
    tenant_id: Uuid,
    client_id: Uuid,
    id: Uuid,
    token_hash: Vec<u8>,
    member_id: Option<Uuid>,
    scopes: Vec<String>,
    audiences: Vec<String>,
    issued_at: DateTime<Utc>,
    epoch: i64,
    decided_at: i64,
    revoked_at: Option<DateTime<Utc>>,
    ip: Option<String>,
}

impl TokenRow {
    pub(crate) fn into_domain(self) -> Result<(AccessToken, TokenHash), StorageError> {
        let hash = TokenHash::from_stored(&self.token_hash).ok_or_else(|| {
            StorageError::corrupt("token hash", self.token_hash.len().to_string())
        })?;
        let expires_at = expiry(self.id)
            .ok_or_else(|| StorageError::corrupt("token id", self.id.to_string()))?;
        let token = AccessToken {
            tenant: TenantId::from_uuid(self.tenant_id),
            client: ClientId::from_uuid(self.client_id),
            id: TokenId::from_uuid(self.id),
            member: self.member_id.map(MemberId::from_uuid),
            scopes: stored::scopes(&self.scopes)?,
            audiences: self.audiences,
            issued_at: self.issued_at,
            expires_at,
            revoked_at: self.revoked_at,
            position: Position {
                epoch: self.epoch,
                sequence: self.decided_at,
            },
            ip: self.ip.and_then(|ip| ip.parse().ok()),
        };
        Ok((token, hash))
    }
}

/// The time of a token's id is the token's expiry.
fn expiry(id: Uuid) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(uuid_v7_millis(id)).ok()?)
}

/// Puts a token on record whatever has changed since it was decided upon. Of those that are handed out none comes this
/// way, but by [`crate::token_writing`]; tests and measurements do, with tokens that no decision led to.
#[doc(hidden)]
pub fn insert(
    tx: &mut FlowTx<'_>,
    token: &AccessToken,
    hash: TokenHash,
) -> Result<(), StorageError> {
    diesel::insert_into(access_tokens::table)
        .values((
            access_tokens::tenant_id.eq(token.tenant.uuid()),
            access_tokens::client_id.eq(token.client.uuid()),
            access_tokens::id.eq(token.id.uuid()),
            access_tokens::token_hash.eq(hash.as_bytes().as_slice()),
            access_tokens::member_id.eq(token.member.map(MemberId::uuid)),
            access_tokens::scopes.eq(token.scopes.to_vec()),
            access_tokens::audiences.eq(&token.audiences),
            access_tokens::issued_at.eq(token.issued_at),
            access_tokens::epoch.eq(token.position.epoch),
            access_tokens::decided_at.eq(token.position.sequence),
            access_tokens::ip.eq(token.ip.map(|ip| ip.to_string())),
        ))
        .execute(tx.connection)?;
    Ok(())
}

/// A token as it stands on record, with what its client's suspension says.
#[derive(Debug)]
pub struct RecordedToken {
    /// The token.
    pub token: AccessToken,
    /// What recognises it.
    pub hash: TokenHash,
    /// What suspends its client, whether or not the client still exists.
    pub client_suspension: Suspension,
    /// What suspends the member for whom it was issued, whether or not the member still exists.
    pub member_suspension: Suspension,
    /// The installation's epoch.
    pub epoch: i64,
}

/// Finds a token by what it says of itself. Whether it is the one is for its hash to say.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    id: TokenId,
) -> Result<Option<RecordedToken>, StorageError> {
    let row: Option<TokenRow> = access_tokens::table
        .find((tenant.uuid(), client.uuid(), id.uuid()))
        .select(TokenRow::as_select())
        .first(tx.connection())
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let (token, hash) = row.into_domain()?;
    let client_suspension = suspensions::of_subject(tx.connection(), tenant, client.uuid())?;
    let member_suspension = match token.member {
        Some(member) => suspensions::of_subject(tx.connection(), tenant, member.uuid())?,
        None => Suspension::default(),
    };
    let epoch = installation::epoch(tx)?;
    Ok(Some(RecordedToken {
        token,
        hash,
        client_suspension,
        member_suspension,
        epoch,
    }))
}

/// Revokes a token that is not revoked yet; tells whether this call did it.
pub fn revoke(
    tx: &mut FlowTx<'_>,
    tenant: TenantId,
    client: ClientId,
    id: TokenId,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let revoked =
        diesel::update(access_tokens::table.find((tenant.uuid(), client.uuid(), id.uuid())))
            .filter(access_tokens::revoked_at.is_null())
            .set(access_tokens::revoked_at.eq(now))
            .execute(tx.connection)?;
    Ok(revoked == 1)
}
