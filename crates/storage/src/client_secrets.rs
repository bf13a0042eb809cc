//! Secrets of clients: what proves them, who made them, and how they end.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::audit::Actor;
use grantor_domain::client_secret::{ClientSecret, SecretOrigin};
use grantor_domain::ids::{ClientId, MemberId, SecretId, TenantId};
use grantor_domain::member::MemberStatus;
use grantor_domain::ownership::{DueWhy, RotationDue, TransferCause};
use grantor_keys::{PasswordVerifier, Verifier};
use uuid::Uuid;

use crate::error::StorageError;
use crate::last_uses;
use crate::schema::{client_secrets, clients, members};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

/// What proves a secret when it is presented.
#[derive(Debug, Clone)]
pub enum SecretVerifier {
    /// Of one that we made: a keyed hash.
    Keyed(Verifier),
    /// Of one that somebody chose: a slow hash.
    Slow(PasswordVerifier),
}

impl SecretVerifier {
    fn origin(&self) -> SecretOrigin {
        match self {
            Self::Keyed(_) => SecretOrigin::Generated,
            Self::Slow(_) => SecretOrigin::Chosen,
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Keyed(verifier) => verifier.as_str(),
            Self::Slow(verifier) => verifier.as_str(),
        }
    }

    fn from_stored(origin: SecretOrigin, stored: String) -> Self {
        match origin {
            SecretOrigin::Generated => Self::Keyed(Verifier::from_stored(stored)),
            SecretOrigin::Chosen => Self::Slow(PasswordVerifier::from_stored(stored)),
        }
    }
}

/// A secret about to be stored: never the secret itself.
#[derive(Debug)]
pub struct NewSecret {
    /// Its id.
    pub id: SecretId,
    /// The first characters, by which people tell secrets apart; of one that somebody chose, none.
    pub hint: String,
    /// What proves the secret when it is presented.
    pub verifier: SecretVerifier,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = client_secrets)]
pub(crate) struct SecretRow {
    id: Uuid,
    kind: String,
    hint: String,
    verifier: String,
    created_by: String,
    created_by_member: Option<Uuid>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    due_since: Option<DateTime<Utc>>,
    due_why: Option<String>,
    due_cause: Option<String>,
    due_former_owner: Option<Uuid>,
}

impl SecretRow {
    pub(crate) fn into_domain(self) -> Result<(ClientSecret, SecretVerifier), StorageError> {
        let due = match (
            self.due_since,
            self.due_why,
            self.due_cause,
            self.due_former_owner,
        ) {
            (Some(since), Some(why), Some(cause), Some(former_owner)) => Some(RotationDue {
                since,
                why: stored::word("urgency", &why, DueWhy::parse)?,
                cause: stored::word("cause", &cause, TransferCause::parse)?,
                former_owner: MemberId::from_uuid(former_owner),
            }),
            _ => None,
        };
        let origin = stored::word("kind of secret", &self.kind, SecretOrigin::parse)?;
        let secret = ClientSecret {
            id: SecretId::from_uuid(self.id),
            origin,
            hint: self.hint,
            created_by: self.created_by,
            created_by_member: self.created_by_member.map(MemberId::from_uuid),
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            due,
        };
        Ok((secret, SecretVerifier::from_stored(origin, self.verifier)))
    }
}

/// Stores a secret of a client. A member who makes it stays as they are until that is committed: so whoever takes them
/// away sees all that they have seen. One who is just being changed, or gone, is told to try again: nothing may wait for
/// a member who has the client already.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    secret: &NewSecret,
) -> Result<(), StorageError> {
    let now = tx.now();
    let actor = &tx.origin().actor;
    let created_by = actor.name();
    // Somebody of another tenant is nobody of this one.
    let member = match actor {
        Actor::Member {
            tenant: of, member, ..
        } if *of == tenant => Some(member.uuid()),
        _ => None,
    };
    if let Some(maker) = member {
        hold_maker(tx, tenant, maker)?;
    }
    let connection = tx.touching(tenant, Subject::Client(client))?;
    diesel::insert_into(client_secrets::table)
        .values((
            client_secrets::tenant_id.eq(tenant.uuid()),
            client_secrets::client_id.eq(client.uuid()),
            client_secrets::id.eq(secret.id.uuid()),
            client_secrets::kind.eq(secret.verifier.origin().as_str()),
            client_secrets::hint.eq(&secret.hint),
            client_secrets::verifier.eq(secret.verifier.as_str()),
            client_secrets::created_by.eq(created_by),
            client_secrets::created_by_member.eq(member),
            client_secrets::created_at.eq(now),
            client_secrets::expires_at.eq(secret.expires_at),
        ))
        .execute(connection)?;
    diesel::update(clients::table.find((tenant.uuid(), client.uuid())))
        .set(clients::secret_updated_at.eq(now))
        .execute(connection)?;
    Ok(())
}

fn hold_maker(tx: &mut ChangeTx<'_>, tenant: TenantId, maker: Uuid) -> Result<(), StorageError> {
    let status: Option<String> = members::table
        .find((tenant.uuid(), maker))
        .select(members::status)
        .for_share()
        .skip_locked()
        .first(tx.connection())
        .optional()?;
    if status.is_some_and(|status| status == MemberStatus::Active.as_str()) {
        return Ok(());
    }
    let why = "whoever makes the secret is just being changed";
    Err(StorageError::Unavailable(why.to_owned()))
}

/// Revokes every secret of a client that is not revoked yet; tells which those were.
pub fn revoke_all(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<SecretId>, StorageError> {
    let now = tx.now();
    let revoked: Vec<Uuid> = diesel::update(client_secrets::table)
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .filter(client_secrets::revoked_at.is_null())
        .set(client_secrets::revoked_at.eq(now))
        .returning(client_secrets::id)
        .get_results(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(revoked.into_iter().map(SecretId::from_uuid).collect())
}

/// Revokes one secret that is not revoked yet; tells whether this call did it.
pub fn revoke(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    id: SecretId,
) -> Result<bool, StorageError> {
    let now = tx.now();
    let revoked =
        diesel::update(client_secrets::table.find((tenant.uuid(), client.uuid(), id.uuid())))
            .filter(client_secrets::revoked_at.is_null())
            .set(client_secrets::revoked_at.eq(now))
            .execute(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(revoked == 1)
}

/// Lets every secret of a client that would live longer end at a time; tells which those were.
pub fn end_all_at(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    end: DateTime<Utc>,
) -> Result<Vec<SecretId>, StorageError> {
    let ended: Vec<Uuid> = diesel::update(client_secrets::table)
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .filter(client_secrets::revoked_at.is_null())
        .filter(
            client_secrets::expires_at
                .is_null()
                .or(client_secrets::expires_at.gt(end)),
        )
        .set(client_secrets::expires_at.eq(end))
        .returning(client_secrets::id)
        .get_results(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(ended.into_iter().map(SecretId::from_uuid).collect())
}

/// Removes every secret that a client ever had; tells which of them were not revoked.
pub fn delete_all(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<SecretId>, StorageError> {
    let revoked = revoke_all(tx, tenant, client)?;
    last_uses::forget_secrets(tx, tenant, client)?;
    diesel::delete(client_secrets::table)
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .execute(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(revoked)
}

/// The secrets of a client that are live at `now`, with their verifiers, the newest first.
pub fn live(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    now: DateTime<Utc>,
) -> Result<Vec<(ClientSecret, SecretVerifier)>, StorageError> {
    client_secrets::table
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .filter(client_secrets::revoked_at.is_null())
        .filter(
            client_secrets::expires_at
                .is_null()
                .or(client_secrets::expires_at.gt(now)),
        )
        .order(client_secrets::id.desc())
        .select(SecretRow::as_select())
        .load(tx.connection())?
        .into_iter()
        .map(SecretRow::into_domain)
        .collect()
}

/// Up to `limit` secrets of a client, whatever their states, the newest first, from after one.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    after: Option<SecretId>,
    limit: i64,
) -> Result<Vec<ClientSecret>, StorageError> {
    let after = after.map_or(Uuid::max(), SecretId::uuid);
    client_secrets::table
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .filter(client_secrets::id.lt(after))
        .order(client_secrets::id.desc())
        .limit(limit)
        .select(SecretRow::as_select())
        .load(tx.connection())?
        .into_iter()
        .map(|row| Ok(row.into_domain()?.0))
        .collect()
}

/// Reads one secret.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    id: SecretId,
) -> Result<Option<ClientSecret>, StorageError> {
    client_secrets::table
        .find((tenant.uuid(), client.uuid(), id.uuid()))
        .select(SecretRow::as_select())
        .first(tx.connection())
        .optional()?
        .map(|row| Ok(row.into_domain()?.0))
        .transpose()
}
